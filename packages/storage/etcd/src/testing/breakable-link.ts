import { type AddressInfo, connect, createServer, type Socket } from "node:net"

/** A TCP link to one endpoint that a test can break. */
export interface BreakableLink {
  /** Where to connect instead. */
  readonly endpoint: string
  /** `silent`: nothing gets through and nobody is told, as when a cable is cut. `refused`: connections end, and new ones are refused. */
  state: "up" | "silent" | "refused"
  close(): Promise<void>
}

/** Listens on a free port of this machine, and passes on to `endpoint` whatever comes. */
export async function breakableLink(endpoint: string): Promise<BreakableLink> {
  const [host = "", port = ""] = endpoint.split(":")
  const pairs = new Set<[Socket, Socket]>()
  let state: BreakableLink["state"] = "up"
  const server = createServer((near) => {
    if (state === "refused") return void near.destroy()
    const far = connect(Number(port), host)
    const pair: [Socket, Socket] = [near, far]
    pairs.add(pair)
    for (const [from, to] of [[near, far] as const, [far, near] as const]) {
      from.on("data", (chunk) => {
        if (!to.write(chunk)) {
          from.pause()
          to.once("drain", () => {
            if (state !== "silent") from.resume()
          })
        }
      })
      from.on("error", () => {})
      from.on("close", () => {
        to.destroy()
        pairs.delete(pair)
      })
      if (state === "silent") from.pause()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    endpoint: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get state() {
      return state
    },
    set state(next) {
      state = next
      for (const pair of pairs) {
        for (const socket of pair) {
          if (next === "refused") socket.destroy()
          else if (next === "silent") socket.pause()
          else socket.resume()
        }
      }
    },
    close: async () => {
      for (const pair of pairs) for (const socket of pair) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
