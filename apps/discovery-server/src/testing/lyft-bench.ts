import { afterAll, beforeAll } from "vitest"
import type { DiscoveryServerOptions } from "../discovery-server.ts"
import { type call, openServer, type Reply, startServer } from "./server-bench.ts"

export const requiredTags = { az: "us-east-1d", instance_id: "i-0a", region: "us-east-1" }

/** Fields of a form; undefined leaves one out. */
export type Form = Readonly<Record<string, string | undefined>>

/** A registration as a heartbeat script sends it, with changes. */
export function hostForm(changes: Form = {}): Form {
  return { ip: "10.0.0.1", service_repo_name: "payments", port: "8080", revision: "cafe01", tags: JSON.stringify(requiredTags), ...changes }
}

export interface LyftBench {
  /** One request; a body that is no string goes out as JSON. */
  readonly call: (path: string, init?: Parameters<typeof call>[1]) => Promise<Reply>
  /** A POST as `curl -d` sends it: a form, already encoded when it is a string. */
  readonly post: (path: string, form: Form | string, headers?: Record<string, string>) => Promise<Reply>
  /** Registers a host of a service. */
  readonly register: (service: string, changes?: Form) => Promise<Reply>
  /** Hosts of a service. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into hosts of every shape
  readonly hosts: (service: string) => Promise<any[]>
  /** `ip:port` of the hosts of a service, in their order. */
  readonly addresses: (service: string) => Promise<string[]>
  readonly close: () => Promise<void>
}

/** A discovery server as lyft/discovery's clients meet it, closed when the test is over. */
export async function startLyft(options: Partial<DiscoveryServerOptions> = {}): Promise<LyftBench> {
  return benchOf(await startServer(options))
}

/** One for all tests of a block, which therefore use services of their own. */
export function sharedLyft(options: Partial<DiscoveryServerOptions> = {}): () => LyftBench {
  let server: Awaited<ReturnType<typeof openServer>> | undefined
  beforeAll(async () => {
    server = await openServer(options)
  })
  afterAll(() => server?.close())
  return () => {
    if (server === undefined) throw new Error("not started yet")
    return benchOf(server)
  }
}

function benchOf(server: Pick<LyftBench, "call" | "close">): LyftBench {
  const post: LyftBench["post"] = (path, form, headers = {}) =>
    server.call(path, {
      method: "POST",
      body: typeof form === "string" ? form : encoded(form),
      headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
    })
  const hosts: LyftBench["hosts"] = async (service) => (await server.call(`/v1/registration/${encodeURIComponent(service)}`)).json.hosts
  return {
    call: server.call,
    close: server.close,
    post,
    register: (service, changes) => post(`/v1/registration/${encodeURIComponent(service)}`, hostForm(changes)),
    hosts,
    addresses: async (service) => (await hosts(service)).map(({ ip_address: ip, port }) => `${ip}:${port}`),
  }
}

function encoded(form: Form): string {
  return new URLSearchParams(Object.entries(form).filter((field): field is [string, string] => field[1] !== undefined)).toString()
}
