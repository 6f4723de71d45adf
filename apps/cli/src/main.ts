import { closeSync, openSync } from "node:fs"
import { systemClock } from "@meshwork/contract/clock"
import type { CliContext } from "./context.ts"
import { runCli } from "./program.ts"

/** How long the process may go on once its command is done, ms. */
const lingerMs = 3000

/** Runs the command line of this process and sets its exit code. */
export async function main(args: readonly string[] = process.argv.slice(2)): Promise<void> {
  const reader = { gone: false, listeners: new Set<() => void>() }
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    // A reader such as `head` has seen enough: what is under way is finished, and its exit code still says how it went.
    if (error.code === "EPIPE" || error.code === "ERR_STREAM_DESTROYED") {
      reader.gone = true
      for (const listener of reader.listeners) listener()
      return
    }
    process.stderr.write(`meshwork: the result cannot be written: ${error.message}\n`)
    process.exit(1)
  })
  // Nobody is left to tell.
  process.stderr.on("error", () => {})
  const asked = { stop: false }
  process.exitCode = await runCli(args, processContext(reader, asked))
  // A process that ends by itself gives its signals back before it is gone, and a repeated one then kills it: asked to stop, it leaves at once.
  if (asked.stop && process.stdout.writableLength + process.stderr.writableLength === 0) process.exit()
  setTimeout(() => process.exit(), lingerMs).unref()
}

function processContext(reader: { gone: boolean; listeners: Set<() => void> }, asked: { stop: boolean }): CliContext {
  const terminal = hasTerminal()
  const reloaders = new Set<() => void>()
  const onHangup = (listener: (signal: string) => void) => (): void => {
    // The same signal says that the terminal has gone, and then there is nobody who could stop the process later.
    if (reloaders.size === 0 || (terminal && !hasTerminal())) listener("SIGHUP")
  }
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    colour: process.stdout.isTTY && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb",
    env: process.env,
    clock: systemClock,
    onStopSignal(obey) {
      const listener = (signal: string): void => {
        asked.stop = true
        obey(signal)
      }
      const hungUp = onHangup(listener)
      const signals = ["SIGINT", "SIGTERM"] as const
      for (const signal of signals) process.on(signal, listener)
      process.on("SIGHUP", hungUp)
      return () => {
        for (const signal of signals) process.off(signal, listener)
        process.off("SIGHUP", hungUp)
      }
    },
    onReloadSignal(listener) {
      const heard = (): void => {
        if (!terminal || hasTerminal()) listener()
      }
      reloaders.add(heard)
      process.on("SIGHUP", heard)
      return () => {
        reloaders.delete(heard)
        process.off("SIGHUP", heard)
      }
    },
    onReaderGone(listener) {
      reader.listeners.add(listener)
      if (reader.gone) listener()
      return () => void reader.listeners.delete(listener)
    },
    exitNow: (code) => process.exit(code),
  }
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync("/dev/tty", "r"))
    return true
  } catch {
    return false
  }
}
