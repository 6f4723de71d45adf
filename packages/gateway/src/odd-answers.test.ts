import { type AddressInfo, connect, createServer } from "node:net"
import { createPool, createStaticSource } from "@meshwork/client-sdk/pool"
import { fakeInstance } from "@meshwork/client-sdk/testing"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { createGateway, type Gateway } from "./index.ts"

let answer = ""
let gateway: Gateway
let port: number
/** Answers the first request on a path with the bytes of the test and every later one with `next`. */
const backend = createServer((socket) => {
  socket.on("error", () => {})
  socket.on("data", (data) => void socket.write(data.includes("/odd") ? answer : "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext", "latin1"))
})

beforeAll(async () => {
  await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve))
  const source = createStaticSource("test")
  source.set("a", [fakeInstance("a", (backend.address() as AddressInfo).port)], 0)
  const pool = createPool({ service: "a", source })
  gateway = createGateway({ routes: [{ match: "prefix", path: "/", service: "a", timeoutMs: 1000, idleTimeoutMs: 200 }], pool: () => pool })
  port = (await gateway.listen({ host: "127.0.0.1", port: 0 })).port
})

afterAll(async () => {
  await gateway.close({ graceMs: 0 })
  backend.close()
})

/** All that the edge says to a GET until it ends the connection. */
function get(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    let text = ""
    socket.on("data", (data) => (text += data.toString("latin1")))
    socket.on("error", () => {})
    socket.on("close", () => resolve(text))
    socket.write(`GET ${path} HTTP/1.1\r\nHost: e\r\nConnection: close\r\n\r\n`)
  })
}

const ok = "HTTP/1.1 200 OK\r\n"
const evil = `${ok}Content-Length: 4\r\n\r\nevil`

describe("an answer that two readers may read differently is none", () => {
  it.each([
    ["with both framings", `${ok}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${evil}`],
    ["with two lengths", `${ok}Content-Length: 2\r\nContent-Length: 4\r\n\r\nokok`],
    ["with one length twice", `${ok}Content-Length: 2\r\nContent-Length: 2\r\n\r\nok`],
    ["with a list of lengths", `${ok}Content-Length: 2, 2\r\n\r\nok`],
    ["with a signed length", `${ok}Content-Length: +2\r\n\r\nok`],
    ["with a negative length", `${ok}Content-Length: -2\r\n\r\nok`],
    ["with a length in hex", `${ok}Content-Length: 0x2\r\n\r\nok`],
    ["encoded in gzip", `${ok}Transfer-Encoding: gzip\r\n\r\nok`],
    ["encoded in gzip before chunks", `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`],
    ["encoded in gzip after chunks", `${ok}Transfer-Encoding: chunked, gzip\r\n\r\n2\r\nok\r\n0\r\n\r\n`],
    ["with bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"],
    ["with a bare CR", `${ok}X: a\rb\r\nContent-Length: 2\r\n\r\nok`],
    ["with NUL", `${ok}X: a\0b\r\nContent-Length: 2\r\n\r\nok`],
    ["with a folded line", `${ok}X: a\r\n b\r\nContent-Length: 2\r\n\r\nok`],
    ["with a blank after a name", `${ok}X : a\r\nContent-Length: 2\r\n\r\nok`],
    ["with an empty name", `${ok}: a\r\nContent-Length: 2\r\n\r\nok`],
    ["of a status below 100", "HTTP/1.1 99 Odd\r\nContent-Length: 2\r\n\r\nok"],
    ["of a status above 999", "HTTP/1.1 1000 Odd\r\nContent-Length: 2\r\n\r\nok"],
    ["of another protocol", "SSH-2.0-OpenSSH_9.9\r\n\r\n"],
    ["that switches protocols unasked", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nevil"],
    ["with a head beyond all limits", `${ok}X: ${"a".repeat(40_000)}\r\nContent-Length: 2\r\n\r\nok`],
  ])("%s", async (_name, bytes) => {
    answer = bytes
    expect(await get("/odd")).toMatch(/^HTTP\/1\.1 502 /)
    expect(await get("/next")).toMatch(/^HTTP\/1\.1 200 [^]*\r\n\r\nnext$/)
  })
})

describe("an answer that breaks apart is cut, never completed", () => {
  it.each([
    ["in its chunks", `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\nxyz\r\n`],
    ["in chunks ended by LF", `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n2\nok\n0\n\n`],
    ["in a trailer", `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX Y: a\r\n\r\n`],
    ["in a trailer that frames", `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nContent-Length: 9\r\n\r\n`],
    ["in silence before its length is reached", `${ok}Content-Length: 20\r\n\r\nok`],
  ])("%s", async (_name, bytes) => {
    answer = bytes
    const text = await get("/odd")
    expect(text).not.toMatch(/\r\n0\r\n\r\n$/)
    expect(text).not.toMatch(/502|504/)
    expect(await get("/next")).toMatch(/^HTTP\/1\.1 200 [^]*\r\n\r\nnext$/)
  })
})

describe("what follows an answer is nobody's", () => {
  it.each([
    ["another answer", `${ok}Content-Length: 2\r\n\r\nok${evil}`, /\r\n\r\nok$/],
    ["more body", `${ok}Content-Length: 2\r\n\r\nokevil`, /\r\n\r\nok$/],
    ["a body of 204", `HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n${evil}`, /^HTTP\/1\.1 204 (?![^]*content-length)[^]*\r\n\r\n$/i],
    ["a body of 304", `HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n${evil}`, /^HTTP\/1\.1 304 [^]*\r\n\r\n$/],
  ])("%s", async (_name, bytes, expected) => {
    answer = bytes
    const text = await get("/odd")
    expect(text).toMatch(expected)
    expect(text).not.toContain("evil")
    expect(await get("/next")).toMatch(/^HTTP\/1\.1 200 [^]*\r\n\r\nnext$/)
  })
})

describe("an answer that is only unusual passes", () => {
  it.each([
    ["without a reason", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", /^HTTP\/1\.1 200 \r\n[^]*ok$/],
    ["with a reason beyond ASCII", "HTTP/1.1 200 \xe4\xff\r\nContent-Length: 2\r\n\r\nok", /^HTTP\/1\.1 200 [^]*ok$/],
    ["with a control character for a reason", "HTTP/1.1 200 a\x01b\r\nContent-Length: 2\r\n\r\nok", /^HTTP\/1\.1 200 \r\n[^]*ok$/],
    ["of a status of its own", "HTTP/1.1 799 Mine\r\nContent-Length: 2\r\n\r\nok", /^HTTP\/1\.1 799 Mine\r\n[^]*ok$/],
    ["of HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", /^HTTP\/1\.1 200 OK\r\n[^]*ok$/],
    ["with bytes beyond ASCII", `${ok}X: \xe4\xff\r\nContent-Length: 2\r\n\r\nok`, /X: \xe4\xff\r\n/],
    ["with an empty value", `${ok}X:\r\nContent-Length: 2\r\n\r\nok`, /X: \r\n/],
    ["with the same name twice", `${ok}Set-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok`, /Set-Cookie: a\r\nSet-Cookie: b\r\n/],
    ["with an extension of chunks", `${ok}Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\n\r\n`, /\r\n2\r\nok\r\n0\r\n\r\n$/],
    [
      "with many hints before it",
      `${"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n".repeat(20)}${ok}Content-Length: 2\r\n\r\nok`,
      /ok$/,
    ],
  ])("%s", async (_name, bytes, expected) => {
    answer = bytes
    expect(await get("/odd")).toMatch(expected)
  })
})

it("passes trailers on but those that should have come before the body", async () => {
  const trailers = ["X-Sum: 1", "Content-Type: a/b", "Transfer-Encoding: chunked", "Set-Cookie: a=b", "Host: b", "Server-Timing: a"]
  answer = `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n${trailers.join("\r\n")}\r\n\r\n`
  expect((await get("/odd")).toLowerCase()).toMatch(/\r\n2\r\nok\r\n0\r\nx-sum: 1\r\nserver-timing: a\r\n\r\n$/)
})

it("a trailer beyond ASCII does not cost the answer", async () => {
  answer = `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: \xe4\r\nX-Good: 1\r\n\r\n`
  expect((await get("/odd")).toLowerCase()).toMatch(/\r\n2\r\nok\r\n0\r\n(?:x-sum: [^]*)?x-good: 1\r\n\r\n$/)
})
