import type { Instance } from "@meshwork/contract"

/** A serving instance at `127.0.0.1:PORT`, with the fields a test cares about changed. */
export function fakeInstance(service: string, port: number, changes: Partial<Instance> = {}): Instance {
  return {
    service,
    id: `127.0.0.1:${port}`,
    host: "127.0.0.1",
    port,
    scheme: "http",
    priority: "med",
    tags: {},
    ttlSeconds: 30,
    origin: "api",
    registeredAt: 0,
    health: { status: "unknown", since: 0, reason: "", by: "" },
    state: "up",
    standing: "serving",
    why: "registered, no check declared",
    ...changes,
  }
}
