import http from "node:http"
import https from "node:https"
import type { Readable } from "node:stream"
import { type Clock, MeshError } from "@meshwork/contract"
import Dockerode from "dockerode"
import { type EngineAddress, formatEngineAddress } from "./engine-address.ts"
import type { DockerEngine, EngineEvent } from "./engine.ts"
import { readJson, readLines } from "./json-body.ts"
import { readContainer, readDetail, readEvent, readInfo } from "./read-answers.ts"

const maxListBytes = 64 * 1024 * 1024
const maxEventBytes = 1024 * 1024

export interface DockerodeEngineOptions {
  address: EngineAddress
  clock: Clock
  /** Limit of one call, and of opening the stream of events; default 5000. */
  timeoutMs?: number
}

/** The part of docker-modem that is used: one request whose answer comes as a stream. */
interface Modem {
  dial(options: object, callback: (error: (Error & { statusCode?: number }) | null, answer: Readable | null) => void): void
}

/** A Docker engine over dockerode. Throws `invalid_config` where its files or variables cannot be used. */
export function createDockerodeEngine({ address, clock, timeoutMs = 5000 }: DockerodeEngineOptions): DockerEngine {
  const where = formatEngineAddress(address)
  const docker = connectTo(address, where)
  const modem = docker.modem as Modem

  // Answers are read here, as streams: of one that breaks off in the middle docker-modem never tells.
  const open = (path: string, query: object, signal: AbortSignal): Promise<Readable> =>
    new Promise((resolve, reject) => {
      const statusCodes = { 200: true, 400: "bad parameter", 403: "forbidden", 404: "no such container", 500: "server error" }
      const options = { path: `${path}?`, method: "GET", isStream: true, statusCodes, options: query, abortSignal: signal }
      modem.dial(options, (error, answer) => {
        if (error || answer === null) reject(error ?? new Error("there was no answer"))
        else resolve(answer.on("error", () => {}))
      })
    })

  const call = <T>(what: string, signal: AbortSignal, work: (own: AbortSignal) => Promise<T>): Promise<T> =>
    withinTime(clock, timeoutMs, signal, work).catch((error: unknown) => {
      throw failure(where, what, error)
    })

  return {
    address: where,
    info: (signal) => call("saying who it is", signal, async (own) => readInfo(await readJson(await open("/info", {}, own), maxListBytes, own))),
    list: (signal) =>
      call("listing containers", signal, async (own) => {
        const answer = await readJson(await open("/containers/json", {}, own), maxListBytes, own)
        if (!Array.isArray(answer)) throw new Error("its answer is no list of containers")
        return answer.flatMap((entry) => readContainer(entry) ?? [])
      }),
    inspect: (id, signal) =>
      call("looking at a container", signal, async (own) => {
        try {
          return readDetail(await readJson(await open(`/containers/${encodeURIComponent(id)}/json`, {}, own), maxListBytes, own))
        } catch (error) {
          if ((error as { statusCode?: number }).statusCode === 404) return undefined
          throw error
        }
      }),
    async events({ since }, signal) {
      // The time limit ends with the head of the answer; the stream itself lives as long as `signal` allows.
      const stop = new AbortController()
      signal.addEventListener("abort", () => stop.abort(), { once: true })
      const query = { filters: JSON.stringify({ type: ["container", "network"] }), ...(since === undefined ? {} : { since }) }
      const stream = await call("telling events", signal, async (own) => {
        own.addEventListener("abort", () => stop.abort(), { once: true })
        return open("/events", query, stop.signal)
      })
      return eventsOf(stream)
    },
  }
}

async function* eventsOf(stream: Readable): AsyncGenerator<EngineEvent> {
  try {
    for await (const line of readLines(stream, maxEventBytes)) {
      const event = readEvent(line)
      if (event !== undefined) yield event
    }
  } catch {
    // A stream that broke is over; whoever reads it connects again.
  } finally {
    stream.destroy()
  }
}

function connectTo(address: EngineAddress, where: string): Dockerode {
  // Everything is named, absent or not: what is left out docker-modem would take from DOCKER_HOST and DOCKER_CERT_PATH.
  const none = { socketPath: undefined, host: undefined, port: undefined, ca: undefined, cert: undefined, key: undefined, timeout: undefined }
  // No connection is kept: one to an engine that was replaced meanwhile would fail the first call after it.
  const agent = address.kind === "tcp" && address.tls ? new https.Agent({ keepAlive: false }) : new http.Agent({ keepAlive: false })
  const rest = { agent, pathPrefix: "/", headers: { "user-agent": "meshwork" } }
  const options =
    address.kind === "unix"
      ? { ...none, ...rest, socketPath: address.path, protocol: "http" }
      : {
          ...none,
          ...rest,
          ...address.tls,
          host: address.host.includes(":") ? `[${address.host}]` : address.host,
          port: address.port,
          protocol: address.tls ? "https" : "http",
        }
  try {
    return new Dockerode(options as Dockerode.DockerOptions)
  } catch (error) {
    throw new MeshError("invalid_config", `Docker at ${where} cannot be used: ${(error as Error).message}`, { cause: error })
  }
}

/** Runs `work` with a signal that aborts after `ms`, and rejects then whether or not it listens. */
async function withinTime<T>(clock: Clock, ms: number, signal: AbortSignal, work: (own: AbortSignal) => Promise<T>): Promise<T> {
  const own = new AbortController()
  const given = Promise.withResolvers<never>()
  const giveUp = (why: Error): void => {
    given.reject(why)
    own.abort(why)
  }
  const timer = clock.timer(ms, () => giveUp(new Error(`no answer within ${ms / 1000} s`)))
  const aborted = (): void => giveUp(new Error("given up"))
  if (signal.aborted) aborted()
  signal.addEventListener("abort", aborted, { once: true })
  try {
    return await Promise.race([work(own.signal), given.promise])
  } finally {
    timer.cancel()
    signal.removeEventListener("abort", aborted)
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such socket",
  ECONNREFUSED: "nothing listens there",
  EACCES: "this user may not use it (is it in the group docker?)",
  ECONNRESET: "it closed the connection",
  EPIPE: "it closed the connection",
}

function failure(where: string, what: string, error: unknown): MeshError {
  if (MeshError.is(error)) return error
  const { code, message } = error as NodeJS.ErrnoException
  const why = reasons[code ?? ""] ?? message.trim().slice(0, 300)
  return new MeshError("connection_failed", `Docker at ${where} failed at ${what}: ${why}`, { cause: error })
}
