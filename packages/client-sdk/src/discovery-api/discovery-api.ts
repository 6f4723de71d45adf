import {
  type Clock,
  fromProblem,
  MeshError,
  type RouteCall,
  type RouteName,
  routePath,
  type RouteReply,
  routes,
  type Routes,
  systemClock,
} from "@meshwork/contract"
import { request } from "undici"

const maxAnswerBytes = 256 * 1024 * 1024

export interface DiscoveryApiOptions {
  /** Base URLs of discovery servers, tried in turn. */
  urls: readonly string[]
  /** Sent as Bearer token. */
  token?: string
  /** Limit per request, ms. Default 5,000. */
  timeoutMs?: number
  clock?: Clock
}

type PartsOf<C> = { [K in keyof C as C[K] extends undefined ? never : K]: C[K] }

export interface ApiCallOptions {
  signal?: AbortSignal
  timeoutMs?: number
}

/** The native routes of a discovery server as typed calls, with fail-over. */
export interface DiscoveryApi {
  /**
   * Calls a route. Rejects with the error the server answered, or with `connection_failed` when none of the servers can be reached. Where a server
   * answers 202, because its store does not take the heartbeat from there, the others are tried too.
   */
  call<N extends Exclude<RouteName, "watch">>(
    name: N,
    parts: PartsOf<RouteCall<Routes[N]>>,
    options?: ApiCallOptions,
  ): Promise<{ status: number; body: RouteReply<Routes[N]> }>
}

/** Typed calls to discovery servers. `invalid_config` for what is no http or https URL. */
export function createDiscoveryApi(options: DiscoveryApiOptions): DiscoveryApi {
  const urls = options.urls.map(baseUrl)
  if (urls.length === 0) throw new MeshError("invalid_config", "no URL of a discovery server was given")
  const clock = options.clock ?? systemClock
  const authorization = options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }
  let preferred = 0

  async function send(url: string, name: RouteName, parts: Parts, call: ApiCallOptions): Promise<{ status: number; body: unknown }> {
    const route = routes[name]
    const controller = new AbortController()
    const limitMs = call.timeoutMs ?? options.timeoutMs ?? 5000
    const timer = clock.timer(limitMs, () => controller.abort(new MeshError("connection_failed", `${url} did not answer within ${limitMs} ms`)))
    const signal = call.signal ? AbortSignal.any([controller.signal, call.signal]) : controller.signal
    try {
      const answer = await request(url + routePath(route, parts.params) + queryText(parts.query), {
        method: route.method,
        headers: { accept: "application/json", ...authorization, ...(parts.body === undefined ? {} : { "content-type": "application/json" }) },
        body: parts.body === undefined ? null : JSON.stringify(parts.body),
        signal,
      })
      const text = await readText(answer.body)
      const headers = { get: (header: string) => answer.headers[header] as string | undefined }
      return { status: answer.statusCode, body: read(url, route.replies, answer.statusCode, headers, text) }
    } catch (error) {
      if (call.signal?.aborted) throw new MeshError("aborted", "the caller gave up", { cause: error })
      if (MeshError.is(controller.signal.reason)) throw controller.signal.reason
      if (MeshError.is(error)) throw error
      throw new MeshError("connection_failed", `no discovery server at ${url}: ${reasonOf(error)}`, { cause: error })
    } finally {
      timer.cancel()
    }
  }

  return {
    async call(name, parts, call = {}) {
      const failures: MeshError[] = []
      let pending: { status: number; body: unknown } | undefined
      for (let step = 0; step < urls.length; step++) {
        const index = (preferred + step) % urls.length
        try {
          const reply = await send(urls[index] ?? "", name, parts, call)
          if (reply.status === 202) {
            pending ??= reply
            continue
          }
          preferred = index
          return reply as never
        } catch (thrown) {
          const error = MeshError.from(thrown)
          if (error.code !== "connection_failed" && error.code !== "storage_unavailable") throw error
          failures.push(error)
        }
      }
      if (pending) return pending as never
      const [first] = failures
      if (failures.length === 1 && first) throw first
      throw new MeshError(first?.code ?? "connection_failed", failures.map((error) => error.message).join("; "), { cause: first })
    },
  }
}

interface Parts {
  params?: Readonly<Record<string, string>>
  query?: Readonly<Record<string, unknown>>
  body?: unknown
}

/** A base URL without a trailing slash; `invalid_config` when it is none. */
export function baseUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new MeshError("invalid_config", `a discovery server is named by an http or https URL, found ${JSON.stringify(text)}`)
  }
  return new URL(text).href.replace(/\/+$/, "")
}

function queryText(query: Readonly<Record<string, unknown>> | undefined): string {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const item of Array.isArray(value) ? value : [value]) if (item !== undefined) params.append(name, String(item))
  }
  return params.size === 0 ? "" : `?${params.toString()}`
}

async function readText(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > maxAnswerBytes) throw new MeshError("payload_too_large", "the answer of the discovery server is over 256 MiB")
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString("utf8")
}

function read(
  url: string,
  replies: Readonly<Record<number, unknown>>,
  status: number,
  headers: { get(name: string): string | undefined },
  text: string,
): unknown {
  const json = /^application\/(?:problem\+)?json/.test(headers.get("content-type") ?? "")
  let value: unknown
  try {
    value = text === "" ? undefined : JSON.parse(text)
  } catch {
    value = undefined
  }
  if (status >= 400 && json && typeof (value as { code?: unknown } | undefined)?.code === "string") throw fromProblem(status, headers, value)
  const schema = replies[status]
  if (schema === "empty") return undefined
  const parsed = (schema as { safeParse?: (input: unknown) => { success: boolean; data?: unknown } } | undefined)?.safeParse?.(value)
  if (parsed?.success) return parsed.data
  // A proxy in front of a server says so while the server is away.
  const code = status >= 500 ? "connection_failed" : "invalid_request"
  throw new MeshError(code, `${url} is not a Meshwork discovery server: it answered ${status} with something else`)
}

function reasonOf(error: unknown): string {
  const { name, code, message } = error as { name?: string; code?: string; message?: string }
  if (name === "HTTPParserError") return "what answers there does not speak HTTP"
  if (code === "UND_ERR_SOCKET" || code === "UND_ERR_RES_CONTENT_LENGTH_MISMATCH") return "it closed the connection before it had answered"
  return code ?? message ?? String(error)
}
