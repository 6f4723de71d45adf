import { stat } from "node:fs/promises"
import type { Clock, Timer } from "@meshwork/contract"

/** How often files are looked at, ms; what changed is told after one more look, when nobody writes any more. */
const everyMs = 250

export interface WatchFilesOptions {
  paths: () => readonly string[]
  clock: Clock
  /** Called after a change; the next one waits until this has ended. */
  onChange: () => Promise<void> | void
}

/**
 * Watches files by what `stat` says of them, so that links, mounts and files that are replaced by others are no exceptions. A file that goes
 * away is a change too. Several files that change together are told once.
 */
export function watchFiles({ paths, clock, onChange }: WatchFilesOptions): { close(): Promise<void> } {
  let closed = false
  let timer: Timer | undefined
  let known: string | undefined
  let before: string | undefined
  const look = async (): Promise<void> => {
    const now = (await Promise.all(paths().map(stateOf))).join("\n")
    known ??= now
    if (now !== known && now === before) {
      known = now
      await onChange()
    }
    before = now
    if (!closed) timer = clock.timer(everyMs, again).unref()
  }
  const again = (): void => {
    looking = look()
  }
  let looking = look()
  return {
    async close() {
      closed = true
      timer?.cancel()
      await looking
      timer?.cancel()
    },
  }
}

async function stateOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
    return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "unknown"
  }
}
