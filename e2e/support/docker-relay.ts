import { rmSync } from "node:fs"
import { connect, createServer, type Socket } from "node:net"
import { onTestFinished } from "vitest"

/** A socket in front of a Docker engine's, so that a test can break what goes through it. */
export interface DockerRelay {
  readonly host: string
  /** Calls of a list that were handed on so far. */
  lists(): number
  /** Cuts every stream of events; the next one works again. */
  cutEvents(): void
  /** Lets that many lists fail: with a 500, or in the middle of the answer. */
  failLists(count: number, how: "500" | "cut"): void
  /** Takes the socket away, with everything that goes through it. */
  vanish(): Promise<void>
  /** Makes a new socket at the same place. */
  appear(): Promise<void>
}

/** Starts a relay that goes with the test. */
export async function startRelay(path: string, engineSocket: string): Promise<DockerRelay> {
  const open = new Map<Socket, "events" | "other">()
  let failing: ("500" | "cut")[] = []
  let lists = 0
  let server: ReturnType<typeof createServer> | undefined

  const handle = (near: Socket): void => {
    open.set(near, "other")
    near.on("error", () => {}).on("close", () => open.delete(near))
    near.once("data", (head) => {
      const [, what = ""] = /^GET (?:\/v[\d.]+)?\/([\w/]+)/.exec(head.toString()) ?? []
      if (what === "events") open.set(near, "events")
      const fault = what === "containers/json" ? failing.shift() : undefined
      if (what === "containers/json") lists++
      if (fault === "500")
        return near.end('HTTP/1.1 500 Internal Server Error\r\nContent-Length: 18\r\nConnection: close\r\n\r\n{"message":"no"}\r\n')
      if (fault === "cut") {
        near.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n[{"Id":', () => near.destroy())
        return
      }
      const far = connect(engineSocket, () => far.write(head))
      far.on("error", () => near.destroy()).on("close", () => near.destroy())
      near.on("close", () => far.destroy())
      near.pipe(far)
      far.pipe(near)
    })
  }
  const appear = async (): Promise<void> => {
    rmSync(path, { force: true })
    server = createServer(handle)
    await new Promise<void>((resolve) => server?.listen(path, resolve))
  }
  const vanish = async (): Promise<void> => {
    const ended = new Promise((resolve) => server?.close(resolve))
    for (const near of open.keys()) near.destroy()
    await ended
    rmSync(path, { force: true })
  }
  await appear()
  onTestFinished(() => vanish())
  return {
    host: `unix://${path}`,
    lists: () => lists,
    cutEvents() {
      for (const [near, what] of open) if (what === "events") near.destroy()
    },
    failLists: (count, how) => void (failing = Array.from({ length: count }, () => how)),
    vanish,
    appear,
  }
}
