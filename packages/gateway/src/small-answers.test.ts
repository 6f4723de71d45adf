import { createHash, randomBytes } from "node:crypto"
import { connect, createServer, type AddressInfo } from "node:net"
import { expect, it, onTestFinished } from "vitest"
import { httpBackend, startEdge } from "./testing/edge.ts"

const sha = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex")

/** A backend that says the same bytes to every request. */
async function rawBackend(...parts: (string | Buffer)[]): Promise<number> {
  const server = createServer((socket) => {
    socket
      .on("error", () => {})
      .on("data", () => {
        for (const part of parts) socket.write(part)
      })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

it("a small answer behind hints that nobody reads goes out as soon as they are read, and hints do not pile up", async () => {
  const hint = `HTTP/1.1 103 Early Hints\r\nLink: <${"x".repeat(4000)}>\r\n\r\n`
  // More than what the sockets between them hold.
  const backend = await rawBackend(hint.repeat(3000), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast")
  const { port, entries } = await startEdge([backend])
  const socket = connect(port, "127.0.0.1")
  onTestFinished(() => void socket.destroy())
  socket.pause()
  socket.write("GET / HTTP/1.1\r\nHost: e\r\n\r\n")
  await new Promise((resolve) => setTimeout(resolve, 500))
  let tail = ""
  let size = 0
  await new Promise<void>((resolve) => {
    socket.on("error", () => {}).on("close", () => resolve())
    socket.on("data", (data) => {
      size += data.length
      tail = (tail + data.toString("latin1")).slice(-100)
      if (tail.endsWith("\r\n\r\nlast")) resolve()
    })
    socket.resume()
  })
  expect(tail).toMatch(/\r\n\r\nlast$/)
  expect(size).toBeLessThan(3000 * hint.length)
  await expect.poll(() => entries.map(({ status }) => status), { timeout: 5000 }).toEqual([200])
})

it("every byte of a small body arrives as it is", async () => {
  const every = Buffer.from(Array.from({ length: 8192 }, (_, index) => index % 256))
  const backend = await httpBackend((request, response) => {
    const size = Number(request.url?.slice(1))
    response.writeHead(200, { "content-length": size }).end(every.subarray(0, size))
  })
  const { port } = await startEdge([backend])
  for (const size of [1, 127, 128, 129, 255, 256, 8191, 8192]) {
    const answer = await fetch(`http://127.0.0.1:${port}/${size}`)
    expect(sha(Buffer.from(await answer.arrayBuffer()))).toBe(sha(every.subarray(0, size)))
  }
})

it("requests that follow on one connection get their own bodies, small and large", async () => {
  const bodies = [5, 9000, 1, 0, 8192, 8193, 70_000, 3].map((size) => randomBytes(size))
  const backend = await httpBackend((request, response) => {
    const body = bodies[Number(request.url?.slice(1))] as Buffer
    response.writeHead(200, { "content-length": body.length }).end(body)
  })
  const { port } = await startEdge([backend])
  const socket = connect(port, "127.0.0.1")
  const chunks: Buffer[] = []
  const all = new Promise<Buffer>((resolve) => socket.on("data", (data) => chunks.push(data)).on("close", () => resolve(Buffer.concat(chunks))))
  socket.write(
    bodies.map((_, index) => `GET /${index} HTTP/1.1\r\nHost: e\r\n${index === bodies.length - 1 ? "Connection: close\r\n" : ""}\r\n`).join(""),
  )
  let rest = await all
  const got: string[] = []
  while (rest.length > 0) {
    const end = rest.indexOf("\r\n\r\n") + 4
    const length = Number(/content-length: (\d+)/i.exec(rest.subarray(0, end).toString("latin1"))?.[1])
    got.push(sha(rest.subarray(end, end + length)))
    rest = rest.subarray(end + length)
  }
  expect(got).toEqual(bodies.map(sha))
})
