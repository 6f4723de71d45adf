import type { Server } from "node:http"
import type { Duplex } from "node:stream"
import type { Clock } from "@meshwork/contract"
import type { Connections } from "./connections.ts"

/** How often connections are looked at that may have become idle, ms. */
const sweepMs = 50

export interface CloseServerOptions {
  graceMs: number
  clock: Clock
  /** Connections that left HTTP. */
  upgraded: ReadonlySet<Duplex>
  connections: Connections
}

/** Stops accepting and waits for requests in flight, at most `graceMs`; then cuts what is left. */
export async function closeServer(server: Server, { graceMs, clock, upgraded, connections }: CloseServerOptions): Promise<void> {
  await new Promise<void>((resolve) => {
    const patience = clock.timer(graceMs, () => server.closeAllConnections())
    // A connection whose last answer went out before it could say `close` becomes idle only now.
    const sweep = (): void => {
      server.closeIdleConnections()
      sweeping = clock.timer(sweepMs, sweep)
    }
    let sweeping = clock.timer(sweepMs, sweep)
    server.close(() => {
      sweeping.cancel()
      patience.cancel()
      resolve()
    })
    server.closeIdleConnections()
    connections.cutShaking()
    for (const socket of upgraded) socket.destroy()
  })
}
