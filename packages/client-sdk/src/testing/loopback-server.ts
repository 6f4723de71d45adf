import { createServer, type RequestListener, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { onTestFinished } from "vitest"

/** A server on loopback that goes with the test. */
export async function loopbackServer(listener: RequestListener): Promise<{ url: string; port: number; server: Server; stop: () => void }> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const stop = (): void => {
    server.closeAllConnections()
    server.close()
  }
  onTestFinished(stop)
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, port, server, stop }
}

/** Polls until it stops throwing, at most 15 s. */
export async function eventually(attempt: () => void | Promise<void>): Promise<void> {
  for (const limit = performance.now() + 15_000; ; await new Promise((resolve) => setTimeout(resolve, 10))) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > limit) throw error
    }
  }
}
