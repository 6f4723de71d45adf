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
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    colour: process.stdout.isTTY && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb",
    env: process.env,
    clock: systemClock,
    onStopSignal(listener) {
      const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const
      for (const signal of signals) process.on(signal, listener)
      return () => {
        for (const signal of signals) process.off(signal, listener)
      }
    },
    exitNow: (code) => process.exit(code),
  }
}
