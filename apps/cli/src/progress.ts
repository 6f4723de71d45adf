import type { CliContext } from "./context.ts"

const patienceMs = 1000

/** Does some work; says on the terminal what it is when it takes longer than a second. */
export async function withProgress<T>(context: CliContext, what: string, work: Promise<T>): Promise<T> {
  const { stderr, clock } = context
  if (stderr.columns === undefined) return work
  let shown = false
  const timer = clock.timer(patienceMs, () => {
    shown = true
    stderr.write(`${what}…`)
  })
  try {
    return await work
  } finally {
    timer.cancel()
    // The line goes, so that results stand alone.
    if (shown) stderr.write("\r\u001b[K")
  }
}
