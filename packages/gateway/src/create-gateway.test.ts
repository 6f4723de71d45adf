import { createServer, get as httpGet, type IncomingMessage, request as httpRequest, type RequestListener, type Server } from "node:http"
import { type AddressInfo, connect } from "node:net"
import { createPool, createStaticSource, roundRobin } from "@meshwork/client-sdk/pool"
import { fakeInstance } from "@meshwork/client-sdk/testing"
import { afterEach, expect, it } from "vitest"
import { createGateway, type GatewaySettings, type RouteSettings } from "./index.ts"

const closers: (() => Promise<unknown> | void)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

async function backend(listener: RequestListener): Promise<{ port: number; server: Server; stop(): void }> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const stop = (): void => {
    server.closeAllConnections()
    server.close()
  }
  closers.push(stop)
  return { port: (server.address() as AddressInfo).port, server, stop }
}

async function gateway(ports: number[], route: Partial<RouteSettings> = {}, settings: GatewaySettings = {}) {
  const source = createStaticSource("test")
  source.set(
    "a",
    ports.map((port) => fakeInstance("a", port)),
    0,
  )
  const pool = createPool({ service: "a", source, balancer: roundRobin })
  const made = createGateway({ routes: [{ match: "prefix", path: "/", service: "a", ...route }], pool: () => pool, settings })
  const { port } = await made.listen({ host: "127.0.0.1", port: 0 })
  closers.push(
    () => pool.close(),
    () => made.close({ graceMs: 200 }),
  )
  return { made, port, url: `http://127.0.0.1:${port}` }
}

const text = async (request: IncomingMessage): Promise<string> => {
  let body = ""
  for await (const chunk of request) body += String(chunk)
  return body
}

/** Polls until it stops throwing. */
async function eventually(attempt: () => void): Promise<void> {
  for (const limit = performance.now() + 15_000; ; await new Promise((resolve) => setTimeout(resolve, 10))) {
    try {
      return attempt()
    } catch (error) {
      if (performance.now() > limit) throw error
    }
  }
}

it("passes method, target, headers and body on, and the answer back", async () => {
  const seen: { method?: string | undefined; url?: string | undefined; headers?: IncomingMessage["headers"]; body?: string } = {}
  const { port } = await backend(async (request, response) => {
    Object.assign(seen, { method: request.method, url: request.url, headers: request.headers, body: await text(request) })
    response
      .writeHead(
        418,
        "Short and stout",
        [
          ["set-cookie", "a=1"],
          ["set-cookie", "b=2"],
          ["connection", "x-hop"],
          ["x-hop", "1"],
        ].flat(),
      )
      .end("tea")
  })
  const { url } = await gateway([port])
  const answer = await fetch(`${url}/a%2Fb//c?d=%20&e`, { method: "POST", body: "hello", headers: { "x-own": "1", "x-forwarded-for": "6.6.6.6" } })
  expect([answer.status, answer.statusText, await answer.text(), answer.headers.getSetCookie(), answer.headers.get("x-hop")]).toEqual([
    418,
    "Short and stout",
    "tea",
    ["a=1", "b=2"],
    null,
  ])
  expect(seen).toMatchObject({
    method: "POST",
    url: "/a%2Fb//c?d=%20&e",
    body: "hello",
    headers: { "x-own": "1", "x-forwarded-for": "127.0.0.1", "content-length": "5" },
  })
  expect(seen.headers?.["x-request-timeout"]).toMatch(/^(30|29)\.\d+$/)
})

it("no GET fails while a backend is killed in the middle of traffic", async () => {
  const answer: RequestListener = (_request, response) => void setTimeout(() => response.end("ok"), 2)
  const [one, two] = [await backend(answer), await backend(answer)]
  const { url } = await gateway([one.port, two.port])
  let answered = 0
  const worker = async (): Promise<number[]> => {
    const statuses: number[] = []
    for (let index = 0; index < 100; index++) {
      const response = await fetch(url)
      await response.text()
      statuses.push(response.status)
      if (++answered === 300) one.stop()
    }
    return statuses
  }
  const statuses = (await Promise.all(Array.from({ length: 10 }, worker))).flat()
  expect([statuses.length, statuses.filter((status) => status !== 200)]).toEqual([1000, []])
})

it("a POST that was sent is not sent again, one that was not is", async () => {
  let posts = 0
  const reset = await backend((request) => {
    posts++
    request.socket.destroy()
  })
  const good = await backend((_request, response) => response.end("ok"))
  const first = await gateway([reset.port, good.port])
  const results = await Promise.all([fetch(first.url, { method: "POST", body: "x" }), fetch(first.url, { method: "POST", body: "x" })])
  expect(results.map((result) => result.status).sort()).toEqual([200, 502])
  expect(posts).toBe(1)
  reset.stop()
  const second = await gateway([reset.port, good.port])
  for (let index = 0; index < 4; index++) expect((await fetch(second.url, { method: "POST", body: "x".repeat(100_000) })).status).toBe(200)
})

it("a POST with an Idempotency-Key is sent again", async () => {
  const reset = await backend((request) => request.socket.destroy())
  const good = await backend(async (request, response) => response.end(await text(request)))
  const { url } = await gateway([reset.port, good.port])
  for (let index = 0; index < 4; index++) {
    const response = await fetch(url, { method: "POST", body: "again", headers: { "idempotency-key": "k" } })
    expect([response.status, await response.text()]).toEqual([200, "again"])
  }
})

it.each([502, 503] as const)("answers %d when nobody can be reached, and 503 when nobody is there", async (unreachableStatus) => {
  const gone = await backend(() => {})
  gone.stop()
  const down = await fetch((await gateway([gone.port], { unreachableStatus })).url)
  expect([down.status, ((await down.json()) as { detail: string }).detail]).toEqual([unreachableStatus, "Connection down for the backend"])
  const empty = await fetch((await gateway([])).url)
  expect([empty.status, empty.headers.get("retry-after"), ((await empty.json()) as { detail: string }).detail]).toEqual([
    503,
    "1",
    "Backend available but no Service URLs discovered",
  ])
})

it("an answer too late is 504, one later than the caller's own limit 408", async () => {
  const { port } = await backend(() => {})
  const { url } = await gateway([port], { timeoutMs: 100 })
  expect((await fetch(url)).status).toBe(504)
  const asked = await fetch(url, { headers: { "x-request-timeout": "0.05" } })
  expect([asked.status, asked.headers.get("x-do-not-retry")]).toEqual([408, "1"])
})

it("aborts the backend's work when the caller goes away", async () => {
  let reached = 0
  let closed = 0
  const { port } = await backend((_request, response) => {
    reached++
    response.on("close", () => closed++)
  })
  const { url, made } = await gateway([port])
  const controller = new AbortController()
  const call = fetch(url, { signal: controller.signal })
  await eventually(() => expect([reached, made.inFlight]).toEqual([1, 1]))
  controller.abort()
  await expect(call).rejects.toThrow()
  await eventually(() => expect([closed, made.inFlight]).toEqual([1, 0]))
})

it("never completes an answer that the backend broke off", async () => {
  let breakOff: (() => void) | undefined
  const { port } = await backend((_request, response) => {
    response.writeHead(200, { "content-length": "100" }).write("half")
    breakOff = () => response.destroy()
  })
  const { url } = await gateway([port])
  const response = await fetch(url)
  expect(response.status).toBe(200)
  breakOff?.()
  await expect(response.text()).rejects.toThrow()
})

it("streams 8 MB both ways, unknown in length", async () => {
  const { port } = await backend((request, response) => void request.pipe(response))
  const { port: edge } = await gateway([port])
  const size = 8 * 1024 * 1024
  const received = await new Promise<number>((resolve, reject) => {
    const call = httpRequest({ port: edge, host: "127.0.0.1", method: "PUT", path: "/" }, (response) => {
      let bytes = 0
      response.on("data", (chunk: Buffer) => (bytes += chunk.length))
      response.on("end", () => resolve(bytes))
    })
    call.on("error", reject)
    const chunk = Buffer.alloc(65_536, "x")
    let left = size / chunk.length
    const write = (): void => {
      while (left-- > 0) if (!call.write(chunk)) return void call.once("drain", write)
      call.end()
    }
    write()
  })
  expect(received).toBe(size)
})

it("passes trailers, HEAD, 204, 304 and early hints", async () => {
  const { port } = await backend((request, response) => {
    if (request.url === "/trailers") {
      response.writeHead(200, { trailer: "x-sum" }).write("a")
      response.addTrailers({ "x-sum": "7" })
      response.end()
    } else if (request.url === "/hints") response.writeEarlyHints({ link: "</a.css>; rel=preload" }, () => response.end("ok"))
    else if (request.method === "HEAD") response.writeHead(200, { "content-length": "42" }).end()
    else response.writeHead(Number(request.url?.slice(1)), { etag: '"x"' }).end()
  })
  const { url } = await gateway([port])
  const trailers = await new Promise<unknown>((resolve) =>
    httpGet(`${url}/trailers`, (response) => response.resume().on("end", () => resolve(response.trailers))),
  )
  expect(trailers).toEqual({ "x-sum": "7" })
  const hints = await new Promise<unknown>((resolve) =>
    httpGet(`${url}/hints`)
      .on("information", (info) => resolve(info.headers.link))
      .on("response", (response) => response.resume()),
  )
  expect(hints).toBe("</a.css>; rel=preload")
  expect((await fetch(url, { method: "HEAD" })).headers.get("content-length")).toBe("42")
  for (const status of [204, 304]) expect((await fetch(`${url}/${status}`)).status).toBe(status)
})

it("passes events on as they come", async () => {
  const { port } = await backend((_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" }).write("data: 1\n\n")
  })
  const { url } = await gateway([port])
  const response = await fetch(url)
  const reader = response.body?.getReader()
  expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe("data: 1\n\n")
  await reader?.cancel()
})

it("lets the backend decide about a body that waits for 100 Continue", async () => {
  const { port } = await backend(async (request, response) => response.end(await text(request)))
  const { port: edge } = await gateway([port])
  const answer = await new Promise<string>((resolve, reject) => {
    const call = httpRequest(
      { port: edge, host: "127.0.0.1", method: "POST", path: "/", headers: { expect: "100-continue", "content-length": 5 } },
      (response) => resolve(text(response)),
    )
    call.on("continue", () => call.end("hello"))
    call.on("error", reject)
    call.flushHeaders()
  })
  expect(answer).toBe("hello")
})

it("joins WebSocket connections, and passes a refusal on", async () => {
  const { port, server } = await backend((_request, response) => response.writeHead(403).end("no"))
  server.on("upgrade", (request, socket, head) => {
    if (request.url === "/no") return void socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ${request.headers["sec-websocket-key"]}\r\n\r\n`,
    )
    if (head.length > 0) socket.write(head)
    socket.pipe(socket)
    return undefined
  })
  const { port: edge, made } = await gateway([port])
  const speak = (path: string, more: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(edge, "127.0.0.1")
      let received = ""
      socket.write(
        `GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: k\r\nsec-websocket-version: 13\r\n\r\n${more}`,
      )
      socket.on("data", (chunk) => {
        received += String(chunk)
        if (received.endsWith("early") || received.endsWith("no")) socket.end()
      })
      socket.on("close", () => resolve(received))
      socket.on("error", reject)
    })
  expect(await speak("/yes", "early")).toMatch(/^HTTP\/1\.1 101 [\s\S]*sec-websocket-accept: k\r\n\r\nearly$/)
  expect(await speak("/no", "")).toMatch(/^HTTP\/1\.1 403 /)
  await eventually(() => expect(made.inFlight).toBe(0))
})

it("joins any one protocol that a backend switches to, and none that hides HTTP", async () => {
  const { port, server } = await backend((request, response) => response.end(`served, upgrade: ${request.headers.upgrade}`))
  server.on("upgrade", (request, socket) => {
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${request.headers.upgrade}\r\n\r\n`)
    socket.pipe(socket)
  })
  const { port: edge, made } = await gateway([port])
  const speak = (protocol: string, rest = ""): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(edge, "127.0.0.1")
      let received = ""
      socket.write(`GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: ${protocol}\r\n${rest}\r\nearly`)
      socket.on("data", (chunk) => {
        received += String(chunk)
        if (received.endsWith("early") || received.includes("served")) socket.end()
      })
      socket.on("close", () => resolve(received))
      socket.on("error", reject)
    })
  for (const protocol of ["shop-feed/2", "tcp"]) {
    expect(await speak(protocol)).toMatch(new RegExp(`^HTTP/1\\.1 101 [\\s\\S]*upgrade: ${protocol}\r\n[\\s\\S]*\r\nearly$`))
  }
  for (const protocol of ["h2c", "HTTP/2.0", "TLS/1.3", "tcp, shop-feed"]) expect(await speak(protocol)).toContain("served, upgrade: undefined")
  expect(await speak("tcp", "content-length: 5\r\n")).toMatch(/^HTTP\/1\.1 400 /)
  await eventually(() => expect(made.inFlight).toBe(0))
})

it("counts what it answered, by route", async () => {
  const { port } = await backend((request, response) => response.writeHead(Number(request.url?.slice(1))).end())
  const { url, made } = await gateway([port], { path: "/", match: "prefix" })
  for (const status of [200, 204, 301, 404, 500]) await fetch(`${url}/${status}`, { redirect: "manual" })
  await eventually(() => expect(made.stats().requests_count).toEqual({ success: 3, error: 2 }))
  expect(made.stats().routes["/"]).toMatchObject({ service: "a", requests_count: { success: 3, error: 2 } })
  expect(made.stats().latency_ms.p99).toBeGreaterThan(0)
})

it("answers where no route leads as configured", async () => {
  const { url } = await gateway(
    [],
    { path: "/api" },
    { defaultResponse: { statusCode: 403, body: "This is not reachable" }, rootAnswer: { status: "Success" } },
  )
  const answer = await fetch(`${url}/apix`)
  expect([answer.status, await answer.text()]).toEqual([403, "This is not reachable"])
  expect(await (await fetch(`${url}/`)).json()).toEqual({ status: "Success" })
  expect(await (await fetch(`${url}/?a=1`)).json()).toEqual({ status: "Success" })
  const plain = await gateway([], { path: "/api" })
  expect(await (await fetch(`${plain.url}/x`)).json()).toMatchObject({ status: 404, code: "no_route", detail: "no route for GET /x" })
  const own = await gateway([], { path: "/api" }, { noRouteMembers: { status: "No API found with provided endpoint" } })
  const missing = await fetch(`${own.url}/x`)
  expect([missing.status, missing.headers.get("content-type")]).toEqual([404, "application/problem+json"])
  expect(await missing.json()).toMatchObject({ status: "No API found with provided endpoint", code: "no_route", status_code: 404 })
})

it("a taken port is named with the option", async () => {
  const { port } = await backend(() => {})
  const made = createGateway({ routes: [], pool: () => undefined as never })
  await expect(made.listen({ host: "127.0.0.1", port })).rejects.toMatchObject({
    code: "invalid_config",
    message: expect.stringMatching(new RegExp(`${port}.*--port`)),
  })
})

it("finishes what is in flight when it closes, and says that the connection ends", async () => {
  let release: (() => void) | undefined
  const { port } = await backend((_request, response) => {
    release = () => response.end("done")
  })
  const { url, made } = await gateway([port])
  const call = fetch(url)
  await eventually(() => expect(release).toBeDefined())
  expect(made.inFlight).toBe(1)
  const closed = made.close()
  release?.()
  expect(await (await call).text()).toBe("done")
  await closed
  await expect(fetch(url)).rejects.toThrow("fetch failed")
})
