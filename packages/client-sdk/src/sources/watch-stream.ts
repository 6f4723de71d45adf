import { type Clock, fromProblem, MeshError, type WatchEvent, watchEventSchemas, type WatchEventName, watchSilenceMs } from "@meshwork/contract"
import { Client } from "undici"
import { SseParser } from "./sse-parser.ts"

const headMs = 10_000

export interface WatchStreamOptions {
  /** Base URL of a discovery server, without a trailing slash. */
  url: string
  /** Services to watch; undefined = all. */
  services: readonly string[] | undefined
  /** Services for which a snapshot is wanted whatever the token says. */
  fresh: readonly string[]
  /** Where to go on; undefined = from nothing. */
  lastEventId: string | undefined
  token: string | undefined
  clock: Clock
  signal: AbortSignal
}

/** An event of the watch, or the mere news that everything up to `id` has been sent. */
export type WatchNews = { id: string; event?: WatchEvent }

/**
 * One connection to `GET /v1/watch`. Ends when the server ends it; throws when it breaks, stays silent for 45 s or says something else.
 */
export async function* watchStream(options: WatchStreamOptions): AsyncGenerator<WatchNews> {
  const { url, clock, signal } = options
  const { origin, pathname } = new URL(url)
  const client = new Client(origin, { bodyTimeout: 0, headersTimeout: 0, connect: { timeout: headMs }, allowH2: false })
  const broken = new AbortController()
  const stop = (): void => broken.abort(signal.reason)
  signal.addEventListener("abort", stop, { once: true })
  const silent = (ms: number) =>
    clock.timer(ms, () => broken.abort(new MeshError("attempt_timeout", `${url} said nothing for ${ms / 1000} s`))).unref()
  let timer = silent(headMs)
  try {
    const answer = await client.request({
      method: "GET",
      path: `${pathname === "/" ? "" : pathname}/v1/watch${query(options)}`,
      headers: headers(options),
      signal: broken.signal,
    })
    if (answer.statusCode !== 200 || !String(answer.headers["content-type"]).startsWith("text/event-stream")) {
      const read = { get: (name: string) => answer.headers[name] as string | undefined }
      throw fromProblem(answer.statusCode, read, await answer.body.json().catch(() => undefined))
    }
    const parser = new SseParser()
    for await (const chunk of answer.body) {
      timer.cancel()
      timer = silent(watchSilenceMs)
      for (const { event, data, id } of parser.push(chunk as Buffer)) {
        if (data === "") yield { id }
        else if (event in watchEventSchemas) yield { id, event: parse(event as WatchEventName, data) }
      }
    }
  } catch (error) {
    throw MeshError.is(broken.signal.reason) ? broken.signal.reason : error
  } finally {
    timer.cancel()
    signal.removeEventListener("abort", stop)
    client.destroy().catch(() => {})
  }
}

function query({ services, fresh }: WatchStreamOptions): string {
  const params = new URLSearchParams()
  for (const service of services ?? []) params.append("service", service)
  for (const service of fresh) params.append("fresh", service)
  return params.size === 0 ? "" : `?${params.toString()}`
}

function headers({ lastEventId, token }: WatchStreamOptions): Record<string, string> {
  return {
    accept: "text/event-stream",
    ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  }
}

function parse(event: WatchEventName, data: string): WatchEvent {
  const parsed = watchEventSchemas[event].safeParse(JSON.parse(data))
  if (!parsed.success) throw new MeshError("upstream_reset", `a ${event} event cannot be read: ${parsed.error.issues[0]?.message}`)
  return { event, data: parsed.data } as WatchEvent
}
