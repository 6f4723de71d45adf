import { MeshError, sleep } from "@meshwork/contract"
import type { CliContext } from "./context.ts"
import { printable } from "./table.ts"

const firstBackoffMs = 250
const longestBackoffMs = 5000

/** What is done again and again, and undone at the end. */
export interface KeptRegistration {
  /** For messages: `NAME (TYPE)`. */
  readonly what: string
  readonly everyMs: number
  /** Writes value and lease, whatever was there before. */
  put(): Promise<void>
  /** Removes it; left out where it shall stay until its lease ends. */
  remove?(): Promise<void>
}

/**
 * Writes a registration that was made just now again every so often until `signal` aborts, then removes it. An outage is survived: said once, tried again with growing
 * pauses, and said again when it is over. Rejects with faults that trying again cannot mend.
 */
export async function keepRegistered(context: CliContext, kept: KeptRegistration, signal: AbortSignal): Promise<void> {
  const { clock, stderr } = context
  let failures = 0
  for (let pauseMs = kept.everyMs; ; pauseMs = failures === 0 ? kept.everyMs : Math.min(longestBackoffMs, firstBackoffMs * 2 ** (failures - 1))) {
    await sleep(clock, pauseMs, signal)
    if (signal.aborted) break
    try {
      await kept.put()
      if (failures > 0) stderr.write(`service ${kept.what} registered again\n`)
      failures = 0
    } catch (error) {
      if (!mayPass(error)) throw error
      if (failures === 0) stderr.write(`meshwork: ${printable(error.message)}; trying again until it is back\n`)
      failures++
    }
  }
  await kept.remove?.()
}

/** Whether a fault may go by itself. */
function mayPass(error: unknown): error is MeshError {
  return MeshError.is(error) && (error.retryable || error.code === "internal" || error.code === "deadline_exceeded")
}
