import type { Logger } from "pino"
import type { CliContext } from "./context.ts"

const stderr = 2

/** A log on stderr: JSON lines, readable ones where that is a terminal. */
export async function createLog(context: CliContext, name: string): Promise<Logger> {
  const { destination, pino, stdTimeFunctions } = await import("pino")
  const options = { base: { name }, timestamp: stdTimeFunctions.isoTime }
  if (context.stderr.columns === undefined) return pino(options, destination({ fd: stderr, sync: true }))
  const { PinoPretty: pretty } = await import("pino-pretty")
  return pino(options, pretty({ destination: stderr, sync: true, colorize: !context.env["NO_COLOR"], ignore: "pid,hostname" }))
}
