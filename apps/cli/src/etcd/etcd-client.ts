import { type ClientRequest, type IncomingMessage, request as httpRequest } from "node:http"
import { type Clock, MeshError } from "@meshwork/contract"
import { connectionReason } from "../connection-reason.ts"
import { endpointText, type EtcdEndpoint } from "./endpoints.ts"

/** How long all endpoints together have for one call, ms. */
const callMs = 5000
const maxAnswerBytes = 256 * 1024 * 1024

export interface EtcdClientOptions {
  /** Tried in turn; the one that answered last goes first. */
  endpoints: readonly EtcdEndpoint[]
  /** For endpoints that name none. Default http. */
  protocol?: "http" | "https"
  /** PEM certificates to trust instead of the system's. */
  ca?: string
  clock: Clock
  /** Runs each call, and may tell that it takes long. Default runs it. */
  told?: <T>(call: () => Promise<T>) => Promise<T>
}

/**
 * etcd's v3 API in its JSON form (`/v3/…`, which every etcd from 3.4 on serves beside gRPC), so that a command needs no driver. Calls reject with
 * `connection_failed` naming the endpoints when none answers within 5 s, `invalid_request` for what etcd refuses.
 */
export class EtcdClient {
  readonly #options: EtcdClientOptions
  #preferred = 0

  constructor(options: EtcdClientOptions) {
    this.#options = options
  }

  /** All endpoints as text, for messages. */
  get names(): string {
    return this.#options.endpoints.map(endpointText).join(", ")
  }

  /** One call, with fail-over. */
  call(path: string, body: object): Promise<Record<string, unknown>> {
    const { told = (call) => call() } = this.#options
    return told(() => this.#call(path, body))
  }

  async #call(path: string, body: object): Promise<Record<string, unknown>> {
    const { endpoints, clock } = this.#options
    const until = clock.monotonic() + callMs
    const failures: string[] = []
    for (let step = 0; step < endpoints.length; step++) {
      const index = (this.#preferred + step) % endpoints.length
      const endpoint = endpoints[index]
      if (endpoint === undefined) break
      const limitMs = Math.max(1, until - clock.monotonic()) / (endpoints.length - step)
      try {
        const answer = await this.#send(endpoint, path, body, limitMs)
        this.#preferred = index
        return answer
      } catch (error) {
        if (MeshError.is(error) && error.code !== "connection_failed") throw error
        failures.push(`${endpointText(endpoint)}: ${reasonOf(error)}`)
      }
    }
    throw new MeshError("connection_failed", `no etcd at ${failures.join("; ")}`)
  }

  /**
   * One call whose answer is a stream of JSON lines, to the endpoint that answered last; the next call or stream goes to another one when it fails.
   * Ends when etcd ends it, rejects with `connection_failed` when it breaks or says nothing for `silenceMs`.
   */
  async *stream(path: string, body: object, silenceMs: number, signal: AbortSignal): AsyncGenerator<Record<string, unknown>> {
    const { endpoints } = this.#options
    const endpoint = endpoints[this.#preferred % endpoints.length]
    if (endpoint === undefined) return
    try {
      const response = await this.#open(endpoint, path, body, callMs, signal)
      const silent = () => response.setTimeout(silenceMs, () => response.destroy(new Error(`it said nothing for ${silenceMs / 1000} s`)))
      silent()
      let rest = ""
      response.setEncoding("utf8")
      for await (const chunk of response) {
        const lines = (rest + String(chunk)).split("\n")
        rest = lines.pop() ?? ""
        for (const line of lines) if (line.trim() !== "") yield this.#parsed(endpoint, response.statusCode ?? 0, line)
      }
    } catch (error) {
      if (signal.aborted) return
      this.#preferred = (this.#preferred + 1) % endpoints.length
      if (MeshError.is(error)) throw error
      throw new MeshError("connection_failed", `no etcd at ${endpointText(endpoint)}: ${reasonOf(error)}`, { cause: error })
    }
  }

  async #send(endpoint: EtcdEndpoint, path: string, body: object, limitMs: number): Promise<Record<string, unknown>> {
    const stop = new AbortController()
    const timer = this.#options.clock.timer(limitMs, () => stop.abort(new Error(`no answer within ${Math.round(limitMs) / 1000} s`)))
    try {
      const response = await this.#open(endpoint, path, body, limitMs, stop.signal)
      const chunks: Buffer[] = []
      let size = 0
      for await (const chunk of response) {
        size += (chunk as Buffer).length
        if (size > maxAnswerBytes) throw new MeshError("payload_too_large", `the answer of ${endpointText(endpoint)} is over 256 MiB`)
        chunks.push(chunk as Buffer)
      }
      return this.#parsed(endpoint, response.statusCode ?? 0, Buffer.concat(chunks).toString("utf8"))
    } catch (error) {
      throw stop.signal.aborted ? stop.signal.reason : error
    } finally {
      timer.cancel()
    }
  }

  async #open(endpoint: EtcdEndpoint, path: string, body: object, limitMs: number, signal: AbortSignal): Promise<IncomingMessage> {
    const { ca } = this.#options
    const protocol = endpoint.protocol ?? this.#options.protocol ?? "http"
    const request = protocol === "https" ? (await import("node:https")).request : httpRequest
    return new Promise<IncomingMessage>((resolve, reject) => {
      const payload = JSON.stringify(body)
      const call: ClientRequest = request(
        {
          host: endpoint.host,
          port: endpoint.port,
          path,
          method: "POST",
          headers: { "content-type": "application/json", "content-length": Buffer.byteLength(payload) },
          timeout: limitMs,
          signal,
          agent: false,
          ...(ca === undefined ? {} : { ca }),
        },
        resolve,
      )
      call.on("timeout", () => call.destroy(new Error(`no answer within ${Math.round(limitMs) / 1000} s`)))
      call.on("error", reject)
      call.end(payload)
    })
  }

  #parsed(endpoint: EtcdEndpoint, status: number, text: string): Record<string, unknown> {
    let value: Record<string, unknown> | undefined
    try {
      value = JSON.parse(text) as Record<string, unknown>
    } catch {
      value = undefined
    }
    if (status === 200 && typeof value === "object" && value !== null && ("header" in value || "result" in value)) return value
    const fault = (value?.["error"] as { message?: unknown } | undefined)?.message ?? value?.["message"] ?? value?.["error"]
    const code = value?.["code"] ?? value?.["grpc_code"]
    if (typeof fault === "string" && typeof code === "number") throw etcdError(endpoint, code, fault)
    // A proxy in front of etcd says so while etcd is away.
    if (status >= 500) throw new MeshError("connection_failed", `it answered ${status} with something else than etcd does`)
    const meant = status === 404 ? " (its JSON gateway may be switched off: --enable-grpc-gateway)" : ""
    throw new MeshError(
      "invalid_request",
      `${endpointText(endpoint)} is not an etcd with the v3 API: it answered ${status} with something else${meant}`,
    )
  }
}

/** gRPC's codes, as far as they matter: 4 deadline, 5 not found, 7 and 16 who you are, 14 and 8 come again. */
function etcdError(endpoint: EtcdEndpoint, code: number, fault: string): MeshError {
  const text = `etcd at ${endpointText(endpoint)}: ${fault}`
  if (code === 14 || code === 4) return new MeshError("connection_failed", text)
  if (code === 8) return new MeshError("overloaded", text)
  if (code === 5) return new MeshError("not_found", text)
  if (code === 7 || code === 16) return new MeshError("unauthorized", text)
  return new MeshError("invalid_request", text)
}

function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: string }
  const words = connectionReason(error, "--ca-bundle")
  if (words !== undefined) return words
  return typeof code === "string" && code !== "ABORT_ERR" && !MeshError.is(error) ? code : (message ?? String(error))
}
