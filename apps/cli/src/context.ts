import type { Clock } from "@meshwork/contract"

/** Somewhere to write text to. */
export interface TextOutput {
  write(text: string): unknown
  /** Width of the terminal; undefined when it is none. */
  readonly columns?: number | undefined
  /** Height of the terminal; undefined when it is none. */
  readonly rows?: number | undefined
}

/** What a command may touch of the world. */
export interface CliContext {
  /** Results. */
  stdout: TextOutput
  /** Everything else. */
  stderr: TextOutput
  /** Whether results may be coloured. */
  colour: boolean
  env: Readonly<Record<string, string | undefined>>
  clock: Clock
  /** Calls `listener` at every SIGINT, SIGTERM and SIGHUP until the returned function is called. */
  onStopSignal(listener: (signal: string) => void): () => void
  /** Calls `listener` once whoever reads the results has gone, as `head` does, until the returned function is called. */
  onReaderGone(listener: () => void): () => void
  /** Calls `listener` at every SIGHUP, which then stops nobody, until the returned function is called. A terminal that goes away still does stop. */
  onReloadSignal(listener: () => void): () => void
  /** Ends the process at once; for those who do not want to wait any longer. */
  exitNow(code: number): void
}
