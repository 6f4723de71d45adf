import { Agent, request, type ServerResponse } from "node:http"
import { connect } from "node:net"
import { expect, it, onTestFinished } from "vitest"
import { httpBackend, startEdge } from "./testing/edge.ts"

interface Answer {
  status: number
  ms: number
  text: string
}

function ask(port: number, priority: string | undefined, ...lines: string[]): Promise<Answer> {
  const begin = performance.now()
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    let text = ""
    socket.on("data", (chunk) => (text += chunk.toString("latin1"))).on("error", () => {})
    socket.on("close", () => resolve({ status: Number(text.slice(9, 12)), ms: performance.now() - begin, text }))
    const own = priority === undefined ? [] : [`X-Request-Priority: ${priority}`]
    socket.write(`${["GET / HTTP/1.1", "Host: a", "Connection: close", ...own, ...lines].join("\r\n")}\r\n\r\n`)
  })
}

/** A backend that answers when it is told to. */
async function held(): Promise<{ port: number; release: () => void; waiting: () => number }> {
  const waiting: ServerResponse[] = []
  const port = await httpBackend((_request, response) => void waiting.push(response))
  const release = (): void => {
    for (const response of waiting.splice(0)) response.end("served")
  }
  return { port, release, waiting: () => waiting.length }
}

it("with the room nearly full low requests are refused, then normal ones, high ones last; and all are served when there is room", async () => {
  const backend = await held()
  const { port, gateway } = await startEdge([backend.port], { maxInFlight: 4 })
  const open: Promise<Answer>[] = []
  const occupy = async (count: number, priority?: string): Promise<void> => {
    for (let index = 0; index < count; index++) open.push(ask(port, priority))
    await expect.poll(() => gateway.inFlight).toBe(open.length)
  }
  await occupy(3)
  const low = await ask(port, "Low")
  expect(low.text).toMatch(/^HTTP\/1\.1 503 /)
  expect(low.text.toLowerCase()).toContain("\r\nretry-after: 1\r\n")
  expect(JSON.parse(low.text.split("\r\n\r\n")[1] ?? "")).toMatchObject({
    code: "overloaded",
    status: 503,
    detail: expect.stringMatching(/in flight/),
  })
  await occupy(1)
  expect([(await ask(port, undefined)).status, (await ask(port, "urgent")).status]).toEqual([503, 503])
  await occupy(4, "HIGH")
  expect((await ask(port, "high")).status).toBe(503)
  expect(gateway.load).toMatchObject({ inFlight: 8, refused: { low: 1, normal: 2, high: 1 } })
  expect(gateway.stats().requests_count).toEqual({ success: 0, error: 4 })
  backend.release()
  expect((await Promise.all(open)).map(({ status }) => status)).toEqual(open.map(() => 200))
  const after = ask(port, "low")
  await expect.poll(backend.waiting).toBe(1)
  backend.release()
  expect((await after).status).toBe(200)
})

it("believes a priority only of peers of the mesh", async () => {
  const backend = await held()
  const { port } = await startEdge([backend.port], { maxInFlight: 1, meshPeers: ["10.0.0.0/8"] })
  const first = ask(port, undefined)
  await expect.poll(backend.waiting).toBe(1)
  expect((await ask(port, "high")).status).toBe(503)
  backend.release()
  expect((await first).status).toBe(200)
})

it("answers in text those who take nothing else", async () => {
  const backend = await held()
  const { port } = await startEdge([backend.port], { maxInFlight: 1 })
  const first = ask(port, undefined)
  await expect.poll(backend.waiting).toBe(1)
  expect((await ask(port, undefined, "Accept: text/plain")).text).toMatch(/\r\n\r\ntoo many requests are in flight; try again in a second\n$/)
  backend.release()
  await first
})

it("a refusal leaves the connection open for the next request", async () => {
  const backend = await held()
  const { port } = await startEdge([backend.port], { maxInFlight: 1 })
  const first = ask(port, undefined)
  await expect.poll(backend.waiting).toBe(1)
  const socket = connect(port, "127.0.0.1")
  onTestFinished(() => void socket.destroy())
  let text = ""
  socket.on("data", (chunk) => (text += chunk.toString("latin1")))
  for (let turn = 1; turn <= 3; turn++) {
    socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await expect.poll(() => text.match(/HTTP\/1\.1 503 /g)?.length).toBe(turn)
  }
  expect(text.toLowerCase()).not.toContain("connection: close")
  backend.release()
  await first
})

it("an upload that is refused does not become the next request", async () => {
  const backend = await held()
  const { port } = await startEdge([backend.port], { maxInFlight: 1 })
  const first = ask(port, undefined)
  await expect.poll(backend.waiting).toBe(1)
  const socket = connect(port, "127.0.0.1")
  let text = ""
  socket.on("data", (chunk) => (text += chunk.toString("latin1"))).on("error", () => {})
  socket.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\nGET /smuggled HTTP/1.1")
  await new Promise((resolve) => socket.once("close", resolve))
  expect(text).toMatch(/^HTTP\/1\.1 503 /)
  expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1)
  backend.release()
  await first
})

it("time that is too short to do anything is refused at once, and no instance hears of it", async () => {
  let reached = 0
  const backend = await httpBackend((_request, response) => {
    reached++
    response.end()
  })
  const { port } = await startEdge([backend])
  for (const left of ["0", "0.001", "0.005"]) {
    const { text, ms } = await ask(port, undefined, `X-Request-Timeout: ${left}`)
    expect(text).toMatch(/^HTTP\/1\.1 408 /)
    expect(text.toLowerCase()).toContain("x-do-not-retry: 1")
    expect(ms).toBeLessThan(1000)
  }
  expect(reached).toBe(0)
  expect((await ask(port, undefined, "X-Request-Timeout: 5")).status).toBe(200)
})

it("at five times what it can carry high requests keep their success and wait behind few, low ones are refused, and it recovers at once", async () => {
  const [slots, eachMs, seconds] = [8, 20, 2]
  const queue: ServerResponse[] = []
  let busy = 0
  let longest = 0
  const serve = (response: ServerResponse): void => {
    busy++
    setTimeout(() => {
      response.end("served")
      busy--
      const next = queue.shift()
      if (next !== undefined) serve(next)
    }, eachMs)
  }
  // It answers 400 requests a second at most; whoever comes beyond that waits.
  const backend = await httpBackend((_request, response) => {
    if (busy < slots) return serve(response)
    queue.push(response)
    longest = Math.max(longest, queue.length)
  })
  // The load shares this event loop, whose lag would say more of it than of the gateway.
  const { port, gateway } = await startEdge([backend], { maxInFlight: 16, maxLagMs: 0 })
  const agent = new Agent({ keepAlive: true })
  onTestFinished(() => agent.destroy())
  const send = (priority: string): Promise<Answer> => {
    const begin = performance.now()
    return new Promise((resolve) => {
      const sent = request({ port, host: "127.0.0.1", agent, headers: { "x-request-priority": priority } }, (response) => {
        response.resume().on("end", () => resolve({ status: response.statusCode ?? 0, ms: performance.now() - begin, text: "" }))
      })
      sent.on("error", () => resolve({ status: 0, ms: 0, text: "" })).end()
    })
  }
  const answers: Record<string, Promise<Answer>[]> = { high: [], normal: [], low: [] }
  const classes = ["high", "low", "low", "normal", "low", "low", "normal", "low", "low", "low", "normal", "low", "low", "normal", "low", "low"]
  const begin = performance.now()
  for (let sent = 0, now = begin; now - begin < seconds * 1000; now = performance.now()) {
    // After a pause of this machine it does not catch up all at once.
    for (const due = Math.min(((now - begin) / 1000) * 2000, sent + 64); sent < due; sent++) {
      const priority = classes[sent % classes.length] ?? "low"
      answers[priority]?.push(send(priority))
    }
    await new Promise((resolve) => setTimeout(resolve, 4))
  }
  const ended = async (priority: string) => Promise.all(answers[priority] ?? [])
  const share = (all: Answer[], status: number): number => all.filter((answer) => answer.status === status).length / all.length
  const [high, low] = [await ended("high"), await ended("low")]
  expect(share(high, 200)).toBe(1)
  // Nobody waits behind more than what was let in.
  expect(longest).toBeLessThanOrEqual(2 * 16 - slots)
  expect(share(low, 503)).toBeGreaterThan(0.6)
  expect(share(low, 200) + share(low, 503)).toBe(1)
  await ended("normal")
  expect(gateway.inFlight).toBe(0)
  const after = await Promise.all(Array.from({ length: 8 }, () => send("low")))
  expect(after.map(({ status }) => status)).toEqual(after.map(() => 200))
})
