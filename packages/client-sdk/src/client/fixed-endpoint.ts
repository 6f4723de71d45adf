import { MeshError } from "@meshwork/contract"
import type { Client } from "./client.ts"
import { createClientForPool } from "./client.ts"
import type { ClientOptions } from "./client-options.ts"
import type { Endpoint, Picked, Pool } from "../pool/pool.ts"

export interface FixedClientOptions extends ClientOptions {
  /** Base URL, or a function that tells the present one before each attempt. */
  endpoint: string | (() => string)
}

/** A client of one address, without any discovery. */
export function createClient(options: FixedClientOptions): Client {
  const { endpoint, ...rest } = options
  const read = typeof endpoint === "string" ? () => endpoint : endpoint
  const first = parse(read())
  return createClientForPool({ ...rest, pool: new FixedPool(read), basePath: first.pathname })
}

function parse(text: string): URL {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new MeshError("invalid_config", `an endpoint is an http or https URL, found ${text}`)
  return new URL(text)
}

/** A pool of the one address that a function names. */
class FixedPool implements Pool {
  readonly service: string
  readonly state: { at: number; stale: boolean } = { at: 0, stale: false }
  readonly #read: () => string
  #endpoint: FixedEndpoint

  constructor(read: () => string) {
    this.#read = read
    this.#endpoint = new FixedEndpoint(parse(read()))
    this.service = this.#endpoint.address
  }

  pick(): Picked {
    const url = parse(this.#read())
    if (url.origin !== this.#endpoint.origin) {
      this.#endpoint.leave()
      this.#endpoint = new FixedEndpoint(url)
    }
    const endpoint = this.#endpoint
    endpoint.inFlight++
    return { endpoint, done: () => void endpoint.inFlight-- }
  }

  ready(): Promise<boolean> {
    return Promise.resolve(true)
  }

  candidates(): [] {
    return []
  }

  close(): Promise<void> {
    this.#endpoint.leave()
    return Promise.resolve()
  }
}

class FixedEndpoint implements Endpoint {
  readonly service: string
  readonly id: string
  readonly address: string
  readonly origin: string
  readonly instance: Endpoint["instance"]
  readonly latencyMs = 0
  inFlight = 0
  readonly #left = new AbortController()
  readonly gone: AbortSignal = this.#left.signal

  constructor(url: URL) {
    const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port)
    this.address = `${url.hostname}:${port}`
    this.service = this.address
    this.id = this.address
    this.origin = url.origin
    this.instance = {
      service: this.address,
      id: this.address,
      host: url.hostname,
      port,
      scheme: url.protocol === "https:" ? "https" : "http",
      priority: "med",
      tags: {},
      ttlSeconds: 0,
      origin: "config",
      registeredAt: 0,
      health: { status: "unknown", since: 0, reason: "", by: "" },
      state: "up",
      standing: "serving",
      why: "a fixed endpoint",
    }
  }

  leave(): void {
    this.#left.abort()
  }
}
