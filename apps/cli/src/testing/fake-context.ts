import { systemClock, type Clock } from "@meshwork/contract"
import type { CliContext } from "../context.ts"
import { runCli } from "../program.ts"

/** What one run of the command line printed, and how it ended. */
export interface CliRun {
  code: number
  stdout: string
  stderr: string
}

/** A context that remembers what was written and sends signals on request. */
export interface FakeContext extends CliContext {
  readonly written: { stdout: string; stderr: string }
  readonly exits: number[]
  signal(): void
  /** Whoever reads stdout goes. */
  leave(): void
  hangUp(): void
}

/** Makes a context with an environment of its own. */
export function fakeContext(options: { env?: Record<string, string>; columns?: number; colour?: boolean; clock?: Clock } = {}): FakeContext {
  const written = { stdout: "", stderr: "" }
  const listeners = new Set<(signal: string) => void>()
  const leavers = new Set<() => void>()
  const reloaders = new Set<() => void>()
  const exits: number[] = []
  return {
    written,
    exits,
    stdout: { write: (text) => (written.stdout += text), columns: options.columns },
    stderr: { write: (text) => (written.stderr += text) },
    colour: options.colour ?? false,
    env: options.env ?? {},
    clock: options.clock ?? systemClock,
    onStopSignal(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    onReaderGone(listener) {
      leavers.add(listener)
      return () => void leavers.delete(listener)
    },
    onReloadSignal(listener) {
      reloaders.add(listener)
      return () => void reloaders.delete(listener)
    },
    exitNow: (code) => void exits.push(code),
    leave: () => {
      for (const listener of leavers) listener()
    },
    signal: () => {
      for (const listener of listeners) listener("SIGINT")
    },
    hangUp: () => {
      for (const listener of reloaders) listener()
    },
  }
}

/** Runs the command line in this process. */
export async function run(args: readonly string[], options: Parameters<typeof fakeContext>[0] = {}): Promise<CliRun> {
  const context = fakeContext(options)
  const code = await runCli(args, context)
  return { code, ...context.written }
}
