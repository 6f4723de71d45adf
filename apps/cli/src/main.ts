import { closeSync, openSync } from "node:fs"
import { systemClock } from "@meshwork/contract/clock"
import type { CliContext } from "./context.ts"
import { runCli } from "./program.ts"

/** How long the process may go on once its command is done, ms. */
const lingerMs = 3000

/** Runs the command line of this process and sets its exit code. */
export async function main(args: readonly string[] = process.argv.slice(2)): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      // A reader such as `head` that has seen enough.
      if (error.code === "EPIPE") process.exit(process.exitCode ?? 0)
      if (stream === process.stdout) process.stderr.write(`meshwork: the result cannot be written: ${error.message}\n`)
      process.exit(1)
    })
  }
  process.exitCode = await runCli(args, processContext())
  setTimeout(() => process.exit(), lingerMs).unref()
}

function processContext(): CliContext {
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
    onStopSignal(listener) {
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
