import { Agent, request as httpRequest } from "node:http"
import { Agent as SecureAgent, request as httpsRequest } from "node:https"
import { type Clock, sleep } from "@meshwork/contract"

const answerMs = 30_000
const keptFailures = 20

/** What became of a steady load. */
export interface LoadResult {
  requests: number
  failures: number
  /** The first failures in words. */
  failed: string[]
  /** Time to the end of the answer, ms; 0 without answers. */
  medianMs: number
  p99Ms: number
  slowestMs: number
}

/** GETs that go on until they are stopped. */
export interface SteadyLoad {
  readonly requests: number
  readonly failures: number
  /** Sends nothing new, waits for what is under way. */
  stop(): Promise<LoadResult>
}

/** Sends GETs over so many keep-alive connections, at most `perSecond` in all. An answer below 400 is a success. */
export function startLoad(options: { url: string; connections: number; perSecond: number; clock: Clock }): SteadyLoad {
  const { connections, perSecond, clock } = options
  const url = new URL(options.url)
  const agent = url.protocol === "https:" ? new SecureAgent({ keepAlive: true }) : new Agent({ keepAlive: true })
  const times: number[] = []
  const failed: string[] = []
  const load = { requests: 0, failures: 0 }
  let stopped = false
  const begin = clock.monotonic()

  const worker = async (): Promise<void> => {
    while (!stopped) {
      // Each request has its place in time, so that slow answers are made up for.
      const at = begin + (load.requests++ / perSecond) * 1000
      const wait = at - clock.monotonic()
      if (wait > 0) await sleep(clock, wait)
      const sent = clock.monotonic()
      const failure = await get(url, agent)
      times.push(clock.monotonic() - sent)
      if (failure === undefined) continue
      load.failures++
      if (failed.length < keptFailures) failed.push(`${failure}, after ${Math.round(clock.monotonic() - sent)} ms`)
    }
  }
  const working = Promise.all(Array.from({ length: connections }, worker))
  return {
    get requests() {
      return times.length
    },
    get failures() {
      return load.failures
    },
    async stop() {
      stopped = true
      await working
      agent.destroy()
      times.sort((a, b) => a - b)
      const at = (share: number): number => Math.round((times[Math.ceil(share * times.length) - 1] ?? 0) * 10) / 10
      return { requests: times.length, failures: load.failures, failed, medianMs: at(0.5), p99Ms: at(0.99), slowestMs: at(1) }
    },
  }
}

/** Undefined for a success, else what was wrong. */
function get(url: URL, agent: Agent): Promise<string | undefined> {
  return new Promise((resolve) => {
    const send = url.protocol === "https:" ? httpsRequest : httpRequest
    const call = send(url, { agent, timeout: answerMs }, (response) => {
      response.resume()
      response.on("error", (error) => resolve(`broken off: ${error.message}`))
      response.on("end", () => {
        const { statusCode = 0, complete } = response
        resolve(!complete ? "broken off" : statusCode >= 400 ? `answered ${statusCode}` : undefined)
      })
    })
    call.on("timeout", () => call.destroy(new Error(`no answer within ${answerMs / 1000} s`)))
    call.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    call.end()
  })
}
