import type { Clock } from "@meshwork/contract"
import type { StoppableServer } from "./registration-options.ts"

/** Stops accepting, tells kept connections to close with their next answer, and waits at most `graceMs` for what is in flight. */
export async function stopServer(server: StoppableServer, clock: Clock, graceMs: number): Promise<void> {
  server.prependListener?.("request", (_request, response) => {
    response.shouldKeepAlive = false
  })
  await new Promise<void>((resolve) => {
    const patience = clock.timer(graceMs, () => {
      server.closeAllConnections?.()
      resolve()
    })
    server.close(() => {
      patience.cancel()
      resolve()
    })
    server.closeIdleConnections?.()
  })
}
