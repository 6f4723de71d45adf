import { get, type IncomingMessage } from "node:http"
import type { WatchEvent } from "@meshwork/contract"
import { systemClock, systemRandom } from "@meshwork/contract"
import { createMemoryStorage } from "@meshwork/registry-core/memory"
import { pino } from "pino"
import { onTestFinished } from "vitest"
import { createDiscoveryServer, type DiscoveryServer, type DiscoveryServerOptions } from "../discovery-server.ts"

/** A discovery server on a free port, closed when the test is over. */
export async function startServer(options: Partial<DiscoveryServerOptions> = {}): Promise<DiscoveryServer & { call: typeof call }> {
  const server = await openServer(options)
  onTestFinished(() => server.close())
  return server
}

/** A discovery server on a free port, to be closed by the caller. */
export async function openServer(options: Partial<DiscoveryServerOptions> = {}): Promise<DiscoveryServer & { call: typeof call }> {
  const server = await createDiscoveryServer({
    port: 0,
    storage: createMemoryStorage(),
    log: pino({ level: "silent" }),
    clock: systemClock,
    random: systemRandom,
    ...options,
  })
  return { ...server, call: (path, init) => call(server.url + path, init) }
}

export interface Reply {
  status: number
  headers: Headers
  text: string
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers of every shape
  json: any
}

/** One request; a body that is no string goes out as JSON. */
export async function call(url: string, init: { method?: string; body?: unknown; headers?: Record<string, string> } = {}): Promise<Reply> {
  const { body, headers, ...rest } = init
  const content = body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }
  const response = await fetch(url, {
    ...rest,
    ...content,
    headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
  })
  const text = await response.text()
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    json = undefined
  }
  return { status: response.status, headers: response.headers, text, json }
}

/** A watch stream as a subscriber sees it. */
export interface Subscriber {
  readonly status: number
  readonly headers: IncomingMessage["headers"]
  readonly events: (WatchEvent & { id?: string })[]
  /** The last `id:` seen. */
  lastId(): string | undefined
  /** How many `id:` lines came without an event. */
  keepAlives(): number
  ended(): boolean
  pause(): void
  resume(): void
  close(): void
}

/** Subscribes; resolves at the response head. */
export function subscribe(url: string, headers: Record<string, string> = {}): Promise<Subscriber> {
  return new Promise((resolve, reject) => {
    const request = get(url, { headers, agent: false }, (response) => {
      const events: Subscriber["events"] = []
      let lastId: string | undefined
      let keepAlives = 0
      let ended = false
      let rest = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => {
        const blocks = (rest + chunk).split("\n\n")
        rest = blocks.pop() ?? ""
        for (const block of blocks) {
          const fields = Object.fromEntries(block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]))
          if (fields["id"] !== undefined) lastId = fields["id"]
          if (fields["event"] === undefined) keepAlives++
          else events.push({ ...fields, data: JSON.parse(fields["data"] ?? "") } as never)
        }
      })
      response.on("close", () => (ended = true))
      response.on("error", () => (ended = true))
      onTestFinished(() => void request.destroy())
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        events,
        lastId: () => lastId,
        keepAlives: () => keepAlives,
        ended: () => ended,
        pause: () => void response.pause(),
        resume: () => void response.resume(),
        close: () => void request.destroy(),
      })
    })
    request.on("error", reject)
  })
}
