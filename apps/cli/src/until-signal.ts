import type { CliContext } from "./context.ts"
import { exitCodes } from "./failure.ts"

const patienceMs = 3000

/**
 * Does work that goes on until SIGINT, SIGTERM or SIGHUP aborts its signal; resolves to 0 once it has ended, and rejects as it does. A further
 * signal 3 s after the first one ends the process with 1.
 */
export async function untilSignal(context: CliContext, work: (signal: AbortSignal) => Promise<void>): Promise<number> {
  return untilEnded(context, work, () => () => {})
}

/** As `untilSignal`, and ends as well when nobody reads the results any more; for work that only prints. */
export async function whileRead(context: CliContext, work: (signal: AbortSignal) => Promise<void>): Promise<number> {
  return untilEnded(context, work, (end) => context.onReaderGone(end))
}

async function untilEnded(
  context: CliContext,
  work: (signal: AbortSignal) => Promise<void>,
  onEnd: (end: () => void) => () => void,
): Promise<number> {
  const stop = new AbortController()
  let stoppedAt: number | undefined
  const release = context.onStopSignal(() => {
    const now = context.clock.monotonic()
    if (stoppedAt !== undefined && now - stoppedAt >= patienceMs) return context.exitNow(exitCodes.failed)
    stoppedAt ??= now
    stop.abort()
  })
  const forget = onEnd(() => stop.abort())
  try {
    await work(stop.signal)
    return exitCodes.done
  } finally {
    forget()
    // Repetitions of a signal that was obeyed may still be on their way, and must not end the process in another manner.
    if (stoppedAt === undefined) release()
  }
}
