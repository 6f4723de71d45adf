import { sleep } from "@meshwork/contract"
import type { CliContext } from "./context.ts"
import { exitCodes } from "./failure.ts"

/** Something that runs until it is closed. */
export interface Closable {
  /** Idempotent. */
  close(): Promise<void>
}

/** How long after the first signal a further one means "now", ms. Ctrl-C alone can arrive two or three times. */
const patienceMs = 3000

/**
 * Starts what `start` hands to `running`, and waits for SIGINT, SIGTERM or SIGHUP; then closes it, the last one first. A signal during the
 * start counts as well, and a start that goes on for 3 s after it is given up. A further signal after 3 s ends the process with 1. Rejects as `start` does, once what was already running is closed.
 */
export async function runUntilStopped(context: CliContext, start: (running: (part: Closable) => void) => Promise<void>): Promise<number> {
  const parts: Closable[] = []
  let stoppedAt: number | undefined
  let stop: () => void = () => {}
  const stopped = new Promise<void>((resolve) => (stop = resolve))
  const release = context.onStopSignal(() => {
    const now = context.clock.monotonic()
    if (stoppedAt !== undefined && now - stoppedAt >= patienceMs) return context.exitNow(exitCodes.failed)
    stoppedAt ??= now
    stop()
  })
  try {
    const starting = start((part) => parts.unshift(part))
    const started = new AbortController()
    const givenUp = stopped.then(() => sleep(context.clock, patienceMs, started.signal)).then(() => "given up" as const)
    void starting.then(
      () => started.abort(),
      () => started.abort(),
    )
    if ((await Promise.race([starting, givenUp])) === "given up") context.exitNow(exitCodes.failed)
    await starting
    await stopped
  } finally {
    try {
      for (const part of parts) await part.close()
    } finally {
      // Repetitions of a signal that was obeyed may still be on their way, and must not end the process in another manner.
      if (stoppedAt === undefined) release()
    }
  }
  return exitCodes.done
}
