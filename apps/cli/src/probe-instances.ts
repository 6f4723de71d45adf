import { connect } from "node:net"
import { type Check, type Clock, formatHostPort } from "@meshwork/contract"

const maxConcurrentProbes = 64
/** How long all probes together may take before no other one is begun, ms. */
const allMs = 20_000

/** Whom to probe, and how; without a check by a TCP connect. */
export interface ProbeTarget {
  scheme: "http" | "https" | "tcp"
  host: string
  port: number
  check?: Pick<Check, "method" | "path" | "timeoutSeconds"> | undefined
}

/** Probes once; what is wrong as a sentence, or undefined when it answers as it should. */
export type Probe = (target: ProbeTarget) => Promise<string | undefined>

/** What is wrong with each of them, in their order; `asked` is how many there was time for, the first ones. */
export async function probeAll(
  targets: readonly ProbeTarget[],
  probe: Probe,
  clock: Clock,
): Promise<{ asked: number; problems: (string | undefined)[] }> {
  const problems: (string | undefined)[] = []
  const until = clock.monotonic() + allMs
  let asked = 0
  const work = async () => {
    for (let target = targets[asked]; target !== undefined && clock.monotonic() < until; target = targets[asked]) {
      const index = asked++
      problems[index] = await probe(target)
    }
  }
  await Promise.all(Array.from({ length: Math.min(maxConcurrentProbes, targets.length) }, work))
  return { asked, problems }
}

/** Probes over the network of this machine. */
export function createProbe(clock: Clock): Probe {
  return async (target) => {
    const limitMs = (target.check?.timeoutSeconds ?? 5) * 1000
    const stop = new AbortController()
    const timer = clock.timer(limitMs, () => stop.abort(new Error(`no answer within ${limitMs / 1000} s`)))
    try {
      return target.check?.method === "http" && target.scheme !== "tcp" ? await get(target, stop.signal) : await reach(target, stop.signal)
    } finally {
      timer.cancel()
    }
  }
}

async function get({ scheme, host, port, check }: ProbeTarget, signal: AbortSignal): Promise<string | undefined> {
  const path = check?.path ?? "/"
  const what = `GET ${scheme}://${formatHostPort(host, port)}${path}`
  const { request } = scheme === "https" ? await import("node:https") : await import("node:http")
  return new Promise((resolve) => {
    const call = request({ host, port, path, signal, agent: false, headers: { "user-agent": "meshwork-check" } }, (answer) => {
      const { statusCode = 0 } = answer
      resolve(statusCode >= 200 && statusCode < 300 ? undefined : `${what} answers ${statusCode}`)
      answer.destroy()
    })
    call.on("error", (error: NodeJS.ErrnoException) => resolve(`${what}: ${reasonOf(error, signal)}`))
    call.end()
  })
}

function reasonOf(error: NodeJS.ErrnoException, signal: AbortSignal): string {
  return signal.aborted ? (signal.reason as Error).message : (error.code ?? error.message)
}

function reach({ host, port }: ProbeTarget, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal })
    const end = (problem?: string) => {
      socket.destroy()
      resolve(problem)
    }
    socket.on("connect", () => end())
    socket.on("error", (error: NodeJS.ErrnoException) => {
      end(`nothing listens at ${formatHostPort(host, port)}: ${reasonOf(error, signal)}`)
    })
  })
}
