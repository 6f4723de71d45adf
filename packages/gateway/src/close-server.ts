import type { Server } from "node:http"
import { Server as NetServer } from "node:net"
import type { Duplex } from "node:stream"
import type { Clock } from "@meshwork/contract"
import type { Connections } from "./connections.ts"

/** How long idle connections are left, ms: the request that is on its way on one is answered, and told that the connection ends. */
const lingerMs = 500
/** How often connections are looked at that may have become idle, ms. */
const sweepMs = 50

export interface CloseServerOptions {
  graceMs: number
  clock: Clock
  /** Connections that left HTTP. */
  upgraded: ReadonlySet<Duplex>
  connections: Connections
}

/** Stops accepting and waits for requests in flight, at most `graceMs`; then cuts what is left. Answers must say by now that connections end. */
export async function closeServer(server: Server, { graceMs, clock, upgraded, connections }: CloseServerOptions): Promise<void> {
  await new Promise<void>((resolve) => {
    const patience = clock.timer(graceMs, () => server.closeAllConnections())
    const sweep = (): void => {
      server.closeIdleConnections()
      sweeping = clock.timer(sweepMs, sweep)
    }
    let sweeping = clock.timer(Math.min(lingerMs, graceMs), sweep)
    const done = (): void => {
      sweeping.cancel()
      patience.cancel()
      // Ends what else belongs to it; there is nothing left to wait for.
      server.close(() => resolve())
    }
    // At the end of this turn of the loop those who have connected by now are accepted; the kernel resets who is left waiting. node:http's own
    // way to close would cut idle connections at once, in the middle of what callers are about to send.
    setImmediate(() => {
      if (server.listening) NetServer.prototype.close.call(server, done)
      else done()
    })
    connections.cutShaking()
    for (const socket of upgraded) socket.destroy()
  })
}
