import { createServer, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import { createPool, createStaticSource, type Pool } from "@meshwork/client-sdk/pool"
import { fakeInstance } from "@meshwork/client-sdk/testing"
import { onTestFinished } from "vitest"
import type { AccessEntry } from "../access-log.ts"
import { createGateway, type Gateway, type GatewaySettings, type RouteSettings } from "../index.ts"
import { type RecordingBackend, recordingBackend } from "./recording-backend.ts"

/** A gateway with one route to one service. */
export interface Edge {
  readonly gateway: Gateway
  readonly pool: Pool
  readonly port: number
  /** What an access log would hold. */
  readonly entries: readonly AccessEntry[]
  close(): Promise<void>
}

/** Starts a backend on a free port of 127.0.0.1 that is gone with the test; resolves to its port. */
export async function httpBackend(listener: RequestListener): Promise<number> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** Starts a gateway that sends everything, unless `route` says otherwise, to instances on these ports; gone with the test. */
export async function startEdge(ports: readonly number[], settings: GatewaySettings = {}, route: Partial<RouteSettings> = {}): Promise<Edge> {
  const edge = await openEdge(ports, settings, route)
  onTestFinished(() => edge.close())
  return edge
}

/** Starts a gateway in front of a backend that records what it is sent; closed by the caller, both at once. */
export async function recordedEdge(): Promise<{ backend: RecordingBackend; port: number; close: () => Promise<void> }> {
  const backend = await recordingBackend()
  const edge = await openEdge([backend.port])
  return {
    backend,
    port: edge.port,
    close: async () => {
      await edge.close()
      await backend.close()
    },
  }
}

async function openEdge(ports: readonly number[], settings: GatewaySettings = {}, route: Partial<RouteSettings> = {}): Promise<Edge> {
  const source = createStaticSource("test")
  source.set(
    "a",
    ports.map((port) => fakeInstance("a", port)),
    0,
  )
  const pool = createPool({ service: "a", source })
  const entries: AccessEntry[] = []
  const gateway = createGateway({
    routes: [{ match: "prefix", path: "/", service: "a", ...route }],
    pool: () => pool,
    settings,
    access: (entry) => entries.push(entry),
  })
  const { port } = await gateway.listen({ host: "127.0.0.1", port: 0 })
  return {
    gateway,
    pool,
    port,
    entries,
    async close() {
      await gateway.close({ graceMs: 0 })
      await pool.close()
    },
  }
}
