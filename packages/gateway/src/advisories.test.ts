import { createServer, type IncomingMessage } from "node:http"
import { type AddressInfo, connect } from "node:net"
import { createPool, createStaticSource } from "@meshwork/client-sdk/pool"
import { fakeInstance } from "@meshwork/client-sdk/testing"
import { beforeEach, describe, expect, it, onTestFinished } from "vitest"
import { createGateway, type RouteSettings } from "./index.ts"
import { isNearby, peerList, plainAddress } from "./peers.ts"

/**
 * What was published of http-proxy, http-proxy-middleware, @fastify/reply-from, @fastify/http-proxy and Traefik and can be asked of this gateway:
 * one fact per advisory. Those about features that are not here have none: TLS, ACME and SNI, HTTP/2 and 3, gRPC, authentication of users,
 * dashboards, TCP and UDP routers, Kubernetes, rewriting of bodies and of paths beyond the prefix.
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
  { match: "prefix", path: "/", host: "secret.test", service: "private" },
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
    if (request.url === "/private/break") return request.socket.destroy()
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

const say = (lines: readonly string[], body = ""): Promise<string> =>
  ask(`${[...lines, "Host: edge.test", "Connection: close"].join("\r\n")}\r\n\r\n${body}`)

/** Everything the edge says to these bytes until it ends the connection, or for eight seconds. */
function ask(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    let text = ""
    const patience = setTimeout(() => socket.destroy(), 8000)
    socket.on("data", (chunk) => (text += chunk.toString("latin1")))
    socket.on("error", () => {})
    socket.on("close", () => {
      clearTimeout(patience)
      resolve(text)
    })
    socket.write(bytes, "latin1")
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
  it("GHSA-9xw9-pvgv-6p76 (CVE-2017-16014): a backend that breaks off, or is gone, ends neither the process nor the next request", async () => {
    expect(await say(["GET /private/break HTTP/1.1"])).toMatch(/^HTTP\/1\.1 502 /)
    expect(await say(["POST /private/break HTTP/1.1", "Content-Length: 100000"], "x".repeat(100_000))).toMatch(/^HTTP\/1\.1 502 /)
    expect(await say(["GET /private/x HTTP/1.1"])).toContain("reached private")
  })

  it.each(["//x@x", "/public/{{{{[[[[((((!!!!", "/public/**/**/**/**/x", "/public/%28%28%28", `/public/${"a*".repeat(1000)}`])(
    "GHSA-c7qv-q95q-8v27 (CVE-2024-21536): the path %s ends nothing",
    async (path) => {
      expect(await say([`GET ${path} HTTP/1.1`])).toMatch(/^HTTP\/1\.1 (200|404) /)
      expect(await say(["GET /public/x HTTP/1.1"])).toContain("reached public")
    },
  )

  it.each(["secret.test.evil.test", "evil.test.secret.test", "evilsecret.test", "secret.test:80@evil.test", "evil.test/secret.test"])(
    "GHSA-64mm-vxmg-q3vj (CVE-2026-55602): Host %s is not secret.test",
    async (host) => {
      const text = await ask(`GET /x HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
      expect(text).toMatch(/^HTTP\/1\.1 40[04] /)
      expect(seen).toEqual([])
    },
  )
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

  it("GHSA-v574-6498-x57v (CVE-2026-16158): what follows the prefix never becomes part of the backend's host or port", async () => {
    for (const path of ["/public1/private", "/public@evil.test/", "/public:80/x", "/public//evil.test/x"]) await say([`GET ${path} HTTP/1.1`])
    expect(seen.map(({ backend: name, url }) => [name, url])).toEqual([["public", "//evil.test/x"]])
  })

  it("GHSA-v2v2-hph8-q5xp (CVE-2023-51701): an odd Content-Type changes nothing of the body", async () => {
    const body = '{"a":1}'
    await say(["POST /public/x HTTP/1.1", "Content-Type: application/json ; charset=utf-8, text/plain", `Content-Length: ${body.length}`], body)
    expect(seen[0]).toMatchObject({ body, headers: { "content-type": "application/json ; charset=utf-8, text/plain" } })
  })

  it.each(["/public/%2e%2e/private", "/public/..%2fprivate", "http://evil.test/private", "//evil.test/private", "/public/http://evil.test/"])(
    "GHSA-2q7r-29rg-6m5h (CVE-2025-66415): the target %s reaches nothing but the route it names",
    async (target) => {
      await say([`GET ${target} HTTP/1.1`])
      for (const { backend: name, headers } of seen) expect([name, headers.host]).toEqual(["public", "edge.test"])
    },
  )
})

describe("@fastify/http-proxy", () => {
  it.each(["/%70ublic/x", "/publi%63/x", "/%50rivate/x", "/%2fpublic/x", "/public%2fx", "/private%2Fx"])(
    "GHSA-mx7v-qhg9-2mvv (CVE-2026-16117): %s has no prefix to take away, and is no route",
    async (path) => {
      expect(await say([`GET ${path} HTTP/1.1`])).toMatch(/^HTTP\/1\.1 404 /)
      expect(seen).toEqual([])
    },
  )

  it.each(["/public/../private", "/public/%2e%2e/private", "/public/..%2f..%2fprivate", "/public/..\\private"])(
    "GHSA-7hrw-592w-9wh2 (CVE-2026-15631): an upgrade to %s is refused like any request",
    (path) => refused([`GET ${path} HTTP/1.1`, "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Connection: upgrade"]),
  )

  it.each(["/public\\..\\private", "/public/..\\private", "/public/..%5cprivate", "/public/%2e%2e%5Cprivate", "/public%5c..%5cprivate"])(
    "GHSA-qv33-689p-2xq5 (CVE-2026-85124): %s is refused",
    (path) => refused([`GET ${path} HTTP/1.1`]),
  )
})

describe("Traefik", () => {
  it.each(["Connection", "connection", "CONNECTION"])(
    "GHSA-62c8-mh53-4cqv (CVE-2024-45410), GHSA-92mv-8f8w-wq52 (CVE-2026-29054), GHSA-m697-4v8f-55qg (CVE-2021-32813), GHSA-gwhp-pf74-vj37 (CVE-2026-33805): %s cannot name away what the gateway says",
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

  it("GHSA-6384-m2mw-rf54 (CVE-2026-35051), GHSA-h924-8g65-j9wg (CVE-2024-52003), GHSA-3q9r-p662-5j8m (CVE-2026-54764): no X-Forwarded header of a stranger is passed on, known or not", async () => {
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

  it.each([
    "X.Forwarded.For",
    "x.forwarded-proto",
    "X-Forwarded.Host",
    "X!Real~IP",
    "Content.Length",
    "Transfer.Encoding",
    "X.Request.Timeout",
    "Ho_st",
  ])("GHSA-rf44-j88r-hh8c (CVE-2026-88011): the alias %s does not reach a backend that knows no punctuation in names", async (name) => {
    await say(["GET /public/x HTTP/1.1", `${name}: evil`, "X.Own: stays"])
    expect(seen).toHaveLength(1)
    expect(JSON.stringify(seen[0]?.headers)).not.toContain("evil")
    expect(seen[0]?.headers).toMatchObject({ "x.own": "stays" })
  })

  it("GHSA-v67p-phpq-fc8x (CVE-2026-88004): nothing of it comes as a trailer either", async () => {
    const trailers = "X-Forwarded-For: evil\r\nX_Auth_User: evil\r\nX-Forwarded-Prefix: evil\r\n"
    await say(["POST /public/x HTTP/1.1", "Transfer-Encoding: chunked", "Trailer: X-Forwarded-For"], `2\r\nok\r\n0\r\n${trailers}\r\n`)
    expect(seen[0]).toMatchObject({ body: "ok", trailers: {} })
    expect(JSON.stringify(seen[0]?.headers)).not.toContain("evil")
  })

  it.each(["/public../private", "/public%2e%2e/private", "/public.%2e/private", "/public./private"])(
    "GHSA-xf64-8mw2-4gr2 (CVE-2026-48020): %s does not begin with the prefix /public",
    async (path) => {
      expect(await say([`GET ${path} HTTP/1.1`])).toMatch(/^HTTP\/1\.1 404 /)
      expect(seen).toEqual([])
    },
  )

  it.each(["/public/%2fprivate", "/public/a%2Fb", "/public/%61%2F%62"])(
    "GHSA-6jwx-7vp4-9847 (CVE-2026-40912): the prefix is taken from %s where it was matched, whatever is escaped behind it",
    async (path) => {
      await say([`GET ${path} HTTP/1.1`])
      expect(seen.map(({ backend: name, url }) => [name, url])).toEqual([["public", path.slice("/public".length)]])
    },
  )

  it.each(["http:http://edge.test/private", "http:/private", "edge.test:/private", "private", "?/private", "urn:private", "http:private"])(
    "GHSA-f52w-8j3h-j724 (CVE-2026-88009): the target %s, which has no root, is refused",
    (target) => refused([`GET ${target} HTTP/1.1`]),
  )

  it.each(["/#/../private", "/public#/private", "/public/x#", "/public?a#b", "http://edge.test/public#x"])(
    "GHSA-fvhj-4qfh-q2hm (CVE-2023-47106): the fragment of %s is refused, not passed on as a path",
    (target) => refused([`GET ${target} HTTP/1.1`]),
  )

  it("GHSA-w4v4-9rw7-5326 (CVE-2026-88008): an upgrade to h2c ends here, and what follows it opens no tunnel", async () => {
    const head = [
      "GET /public/x HTTP/1.1",
      "Host: edge.test",
      "Upgrade: h2c",
      "HTTP2-Settings: AAMAAABkAAQAAP__",
      "Connection: Upgrade, HTTP2-Settings",
    ]
    await ask(`${head.join("\r\n")}\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`)
    expect(seen).toHaveLength(1)
    expect(seen[0]).toMatchObject({ method: "GET", url: "/x" })
    for (const name of ["upgrade", "http2-settings"]) expect(Object.keys(seen[0]?.headers ?? {})).not.toContain(name)
  })

  it.each(["NTLM TlRMTVNTUAAB", "Negotiate YII", "negotiate"])(
    "GHSA-qqjf-53cj-pwvv (CVE-2026-88007): the connection that %s was said on serves nobody else",
    async (authorization) => {
      await say(["GET /public/x HTTP/1.1", `Authorization: ${authorization}`])
      expect(seen[0]?.headers).toMatchObject({ connection: "close", authorization })
      await say(["GET /public/x HTTP/1.1", "Authorization: Bearer NTLM"])
      expect(seen[1]?.headers).toMatchObject({ connection: "keep-alive" })
    },
  )

  it("GHSA-5423-jcjm-2gpv (CVE-2025-22871): a chunk size ended by a bare LF, within an extension or not, is refused", async () => {
    for (const size of ["5\n", "5;a\n", "5;a\nb\r\n"])
      await refused(["POST /public/x HTTP/1.1", "Transfer-Encoding: chunked"], `${size}hello\r\n0\r\n\r\n`)
  })

  it("GHSA-7hj9-rv74-5g92 (CVE-2023-29013): thousands of tiny headers are refused before they take memory", async () => {
    const text = await say(["GET /public/x HTTP/1.1", ...Array.from({ length: 10_000 }, (_, index) => `${index.toString(36)}:`)])
    expect(text === "" || /^HTTP\/1\.1 (400|431) /.test(text)).toBe(true)
    expect(seen).toEqual([])
  })

  it.each(["secret.test.", "SECRET.test.:80", "secret.test:"])(
    "GHSA-hrhx-6h34-j5hc (CVE-2022-23632): Host %s is routed as secret.test",
    async (host) => {
      await ask(`GET /x HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
      expect(seen.map(({ backend: name, headers }) => [name, headers.host])).toEqual([["private", host]])
    },
  )

  it("GHSA-7jmw-8259-q9jx: an IPv4 address in IPv6 is the IPv4 address it carries", () => {
    expect([plainAddress("::ffff:127.0.0.1"), plainAddress("::ffff:8.8.8.8")].map(isNearby)).toEqual([true, false])
    expect(peerList(["192.0.2.0/24"])(plainAddress("::ffff:192.0.2.7"))).toBe(true)
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
    expect(performance.now() - begin).toBeLessThan(6000)
  })

  it("GHSA-3ccp-42pg-hgv6 (CVE-2026-71324): CONNECT is refused, so that no answer of a backend is taken for that of another request", () =>
    refused(["CONNECT edge.test:443 HTTP/1.1"], "GET /private HTTP/1.1\r\nHost: edge.test\r\n\r\n"))
})
