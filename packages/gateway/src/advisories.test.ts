import { createServer, type IncomingMessage } from "node:http"
import { type AddressInfo, connect } from "node:net"
import { createPool, createStaticSource } from "@meshwork/client-sdk/pool"
import { fakeInstance } from "@meshwork/client-sdk/testing"
import { beforeEach, describe, expect, it, onTestFinished } from "vitest"
import { createGateway, type RouteSettings } from "./index.ts"

/**
 * What was published of http-proxy, @fastify/reply-from, @fastify/http-proxy and Traefik and can be asked of this gateway: one fact per
 * advisory. Those about features that are not here (HTTP/2 and 3, forward authentication, dashboards, TCP routers, STARTTLS) have none.
 */

interface Seen {
  backend: string
  method: string | undefined
  url: string | undefined
  headers: IncomingMessage["headers"]
  trailers: IncomingMessage["trailers"]
  body: string
}

const routes: RouteSettings[] = [
  { match: "prefix", path: "/public", service: "public", stripPrefix: true },
  { match: "prefix", path: "/private", service: "private" },
]
let seen: Seen[] = []
let port = 0

async function backend(name: string): Promise<number> {
  const server = createServer(async (request, response) => {
    let body = ""
    try {
      for await (const chunk of request) body += String(chunk)
    } catch {
      return
    }
    seen.push({ backend: name, method: request.method, url: request.url, headers: request.headers, trailers: request.trailers, body })
    response.end(`reached ${name}`)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

beforeEach(async () => {
  seen = []
  const source = createStaticSource("test")
  for (const service of ["public", "private"]) source.set(service, [fakeInstance(service, await backend(service))], 0)
  // Nobody is trusted: everything comes from outside.
  const gateway = createGateway({
    routes,
    pool: (route) => createPool({ service: route.service, source }),
    settings: { meshPeers: ["192.0.2.1"] },
  })
  onTestFinished(() => gateway.close({ graceMs: 0 }))
  port = (await gateway.listen({ host: "127.0.0.1", port: 0 })).port
})

/** Everything the edge says to these bytes until it ends the connection, or for a second. */
function say(lines: readonly string[], body = ""): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    let text = ""
    const patience = setTimeout(() => socket.destroy(), 1000)
    socket.on("data", (chunk) => (text += chunk.toString("latin1")))
    socket.on("error", () => {})
    socket.on("close", () => {
      clearTimeout(patience)
      resolve(text)
    })
    socket.write(`${[...lines, "Host: edge.test", "Connection: close"].join("\r\n")}\r\n\r\n${body}`, "latin1")
  })
}

const refused = async (lines: readonly string[], body = ""): Promise<void> => {
  const text = await say(lines, body)
  expect(seen).toEqual([])
  expect(text === "" || /^HTTP\/1\.1 (400|404|405|501) /.test(text), text).toBe(true)
}

describe("http-proxy and its heirs", () => {
  it.each(["DELETE", "OPTIONS"])(
    "GHSA-ggv3-7p47-pfv8 (CVE-2026-29057): a chunked body of %s is neither cut off nor sent as a request of its own",
    async (method) => {
      const hidden = "GET /private/smuggled HTTP/1.1\r\nHost: edge.test\r\n\r\n"
      const body = `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`
      expect(await say([`${method} /public/x HTTP/1.1`, "Transfer-Encoding: chunked"], body)).toContain("reached public")
      expect(seen).toHaveLength(1)
      expect(seen[0]).toMatchObject({ method, body: hidden, backend: "public" })
    },
  )

  it("GHSA-6x33-pw7p-hmpq: a long body while headers are set does not end the process, nor the next request", async () => {
    const text = "x".repeat(2_000_000)
    expect(await say(["POST /public/x HTTP/1.1", `Content-Length: ${text.length}`, "Expect: 100-continue"], text)).toContain("reached public")
    expect(seen[0]?.body).toHaveLength(text.length)
    expect(await say(["GET /public/y HTTP/1.1"])).toContain("reached public")
  })
})

describe("@fastify/reply-from and @fastify/http-proxy", () => {
  it.each(["/public/../private/x", "/public/..%2fprivate/x", "/public/%2e%2e/private/x", "/public/..;/private"])(
    "GHSA-qmw8-3v4g-gwj4 (CVE-2021-21321), GHSA-c4qr-gmr9-v23w (CVE-2021-21322): %s does not leave its prefix",
    async (path) => {
      await say([`GET ${path} HTTP/1.1`])
      expect(seen.filter(({ backend: name, url }) => name === "private" || url?.includes(".."))).toEqual(
        path.includes("..;") ? [expect.objectContaining({ backend: "public", url: "/..;/private" })] : [],
      )
    },
  )

  it("GHSA-v574-6498-x57v: what follows the prefix never becomes part of the backend's host or port", async () => {
    for (const path of ["/public1/private", "/public@evil.test/", "/public:80/x", "/public//evil.test/x"]) await say([`GET ${path} HTTP/1.1`])
    expect(seen.map(({ backend: name, url }) => [name, url])).toEqual([["public", "//evil.test/x"]])
  })

  it("CVE-2023-51701: an odd Content-Type changes nothing of the body", async () => {
    const body = '{"a":1}'
    await say(["POST /public/x HTTP/1.1", "Content-Type: application/json ; charset=utf-8, text/plain", `Content-Length: ${body.length}`], body)
    expect(seen[0]).toMatchObject({ body, headers: { "content-type": "application/json ; charset=utf-8, text/plain" } })
  })

  it.each(["http://evil.test/private", "//evil.test/private", "/public/http://evil.test/", "/public\\..\\private"])(
    "CVE-2025-66415: the target %s reaches nothing but the route it names",
    async (target) => {
      await say([`GET ${target} HTTP/1.1`])
      for (const { backend: name, headers } of seen) expect([name, headers.host]).toEqual(["public", "edge.test"])
    },
  )
})

describe("Traefik", () => {
  it.each(["Connection", "connection", "CONNECTION"])(
    "GHSA-62c8-mh53-4cqv (CVE-2024-45410), GHSA-m697-4v8f-55qg (CVE-2021-32813): %s cannot name away what the gateway says",
    async (name) => {
      const named = ["X-Forwarded-For", "x-forwarded-host", "X-FORWARDED-PROTO", "Forwarded", "Via", "X-Request-Timeout", "x-request-attempt", "Host"]
      await say(["GET /public/x HTTP/1.1", `${name}: ${named.join(", ")}`])
      expect(seen[0]?.headers).toMatchObject({
        host: "edge.test",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-host": "edge.test",
        "x-forwarded-proto": "http",
        forwarded: expect.stringContaining("for=127.0.0.1"),
        via: "1.1 meshwork",
        "x-request-attempt": "1",
        "x-request-timeout": expect.stringMatching(/^\d/),
      })
    },
  )

  it("GHSA-6384-m2mw-rf54 (CVE-2026-35051): no X-Forwarded header of a stranger is passed on, known or not", async () => {
    const names = ["For", "Host", "Proto", "Port", "Prefix", "Server", "Uri", "Method", "Tls-Client-Cert", "Ssl", "User"]
    await say(["GET /public/x HTTP/1.1", ...names.map((name) => `X-Forwarded-${name}: evil`), "X-Real-Ip: evil", "Forwarded: for=evil"])
    expect(JSON.stringify(seen[0]?.headers)).not.toContain("evil")
  })

  it.each(["X_Forwarded_For", "X_FORWARDED_PROTO", "X-Forwarded_Host", "Content_Length", "Transfer_Encoding", "X_Request_Timeout"])(
    "GHSA-5m6w-wvh7-57vm (CVE-2026-39858): the alias %s does not reach a backend that reads _ as -",
    async (name) => {
      await say(["GET /public/x HTTP/1.1", `${name}: evil`])
      expect(seen).toHaveLength(1)
      expect(Object.keys(seen[0]?.headers ?? {}).filter((each) => each.includes("_"))).toEqual([])
    },
  )

  it("GHSA-v67p-phpq-fc8x (CVE-2026-88004): nothing of it comes as a trailer either", async () => {
    const trailers = "X-Forwarded-For: evil\r\nX_Auth_User: evil\r\nX-Forwarded-Prefix: evil\r\n"
    await say(["POST /public/x HTTP/1.1", "Transfer-Encoding: chunked", "Trailer: X-Forwarded-For"], `2\r\nok\r\n0\r\n${trailers}\r\n`)
    expect(seen[0]).toMatchObject({ body: "ok", trailers: {} })
    expect(JSON.stringify(seen[0]?.headers)).not.toContain("evil")
  })

  it.each(["/public/../private", "/public/%2e%2e/private", "/public/%2E./private", "/public/a/../../private", "/public/.%2e%2fprivate"])(
    "GHSA-6p68-w45g-48j7 (CVE-2025-32431), GHSA-vrch-868g-9jx5 (CVE-2025-47952), GHSA-xf64-8mw2-4gr2 (CVE-2026-48020): %s is refused, prefix stripped or not",
    (path) => refused([`GET ${path} HTTP/1.1`]),
  )

  it.each([
    ["/private%2Fx", "404"],
    ["/public/a%2F..b", "public"],
    ["/public/%3B", "public"],
    ["/public/%3F", "public"],
    ["/public/%23", "public"],
  ])("GHSA-gm3x-23wp-hc2c (CVE-2025-66490): %s is routed as it is written, and arrives as it was routed", async (path, where) => {
    const text = await say([`GET ${path} HTTP/1.1`])
    if (where === "404") expect([text.slice(9, 12), seen.length]).toEqual(["404", 0])
    else expect(seen.map(({ backend: name, url }) => [name, url])).toEqual([[where, path.slice("/public".length)]])
  })

  it.each(["/public/%00", "/public/%5c..%5cprivate"])("GHSA-gm3x-23wp-hc2c (CVE-2025-66490): %s is refused", (path) =>
    refused([`GET ${path} HTTP/1.1`]),
  )

  it("GHSA-4vwx-54mw-vqfw (CVE-2024-28869): a GET that announces a body and sends none waits for nobody", async () => {
    const begin = performance.now()
    await refused(["GET /public/x HTTP/1.1", "Content-Length: 100"])
    expect(performance.now() - begin).toBeLessThan(900)
  })

  it("CONNECT is refused, so that no answer of a backend is taken for that of another request", () =>
    refused(["CONNECT edge.test:443 HTTP/1.1"], "GET /private HTTP/1.1\r\nHost: edge.test\r\n\r\n"))
})
