import { connect } from "node:net"
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest"
import { recordedEdge } from "./testing/edge.ts"
import type { RecordingBackend } from "./testing/recording-backend.ts"

let backend: RecordingBackend
let port: number
let close: () => Promise<void>

beforeAll(async () => {
  ;({ backend, port, close } = await recordedEdge())
})

afterAll(() => close())

beforeEach(() => backend.forget())

/** The statuses the edge answers with until it ends the connection, or until nothing has come for a while; `…` for one it keeps. */
function statuses(text: string, pieces: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true })
    const bytes = Buffer.from(text, "latin1")
    const size = Math.ceil(bytes.length / pieces)
    let heard = ""
    let open = " …"
    const patience = setTimeout(() => socket.destroy(), 1000)
    socket.on("data", (data) => {
      heard += data.toString("latin1")
      patience.refresh()
    })
    socket.on("error", () => {})
    socket.on("end", () => (open = ""))
    socket.on("close", () => {
      clearTimeout(patience)
      resolve(Array.from(heard.matchAll(/HTTP\/1\.1 (\d{3})/g), (match) => match[1]).join(" ") + open)
    })
    const send = (from: number): void => {
      if (!socket.writable) return
      socket.write(bytes.subarray(from, from + size))
      if (from + size < bytes.length) setTimeout(send, 2, from + size)
    }
    send(0)
  })
}

const ask = (line: string, ...headers: string[]): string => `${[`${line} HTTP/1.1`, "Host: e", ...headers].join("\r\n")}\r\n\r\n`
const chunked = "Transfer-Encoding: chunked"
const upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
const last = ask("GET /last", "Connection: close")

it.each([
  // What is compliant is served, in its order.
  ["two requests", ask("GET /a") + last, "GET /a, GET /last", "200 200"],
  ["ten requests", ask("GET /a").repeat(9) + last, `${"GET /a, ".repeat(9)}GET /last`, Array(10).fill(200).join(" ")],
  ["a connection that stays", ask("GET /a"), "GET /a", "200 …"],
  ["a body with a length, then another request", `${ask("POST /a", "Content-Length: 5")}hello${last}`, "POST /a, GET /last", "200 200"],
  ["a body in chunks, then another request", `${ask("POST /a", chunked)}5\r\nhello\r\n0\r\n\r\n${last}`, "POST /a, GET /last", "200 200"],
  ["trailers, then another request", `${ask("POST /a", chunked)}1\r\na\r\n0\r\nX: b\r\n\r\n${last}`, "POST /a, GET /last", "200 200"],
  ["an empty line between requests", `${ask("POST /a", "Content-Length: 1")}a\r\n${last}`, "POST /a, GET /last", "200 200"],
  ["HEAD, then another request", ask("HEAD /a") + last, "HEAD /a, GET /last", "200 200"],
  ["OPTIONS * in between", ask("GET /a") + ask("OPTIONS *") + last, "GET /a, GET /last", "200 204 200"],
  ["a length of 0, then another request", ask("POST /a", "Content-Length: 0") + last, "POST /a, GET /last", "200 200"],
  ["GET whose chunks are none, then another request", `${ask("GET /a", chunked)}0\r\n\r\n${last}`, "GET /a, GET /last", "200 200"],
  ["HTTP/1.0 kept alive", `GET /a HTTP/1.0\r\nHost: e\r\nConnection: keep-alive\r\n\r\n${last}`, "GET /a, GET /last", "200 200"],
  [
    "100 Continue, then another request",
    `${ask("POST /a", "Expect: 100-continue", "Content-Length: 1")}a${last}`,
    "POST /a, GET /last",
    "100 200 200",
  ],
  // Where a request ends the connection, nothing after it counts.
  ["another request after close", last + ask("GET /b"), "GET /last", "200"],
  ["another request after close with a body", `${ask("POST /a", "Content-Length: 1", "Connection: close")}a${ask("GET /b")}`, "POST /a", "200"],
  ["another request after HTTP/1.0", `GET /a HTTP/1.0\r\nHost: e\r\n\r\n${ask("GET /b")}`, "GET /a", "200"],
  ["noise after close", `${last}\x00\x01\x02`, "GET /last", "200"],
  // What is refused is the last thing believed; what came before it keeps its answer.
  ["a dot segment second", ask("GET /a") + ask("GET /b/../c") + last, "GET /a", "200 400"],
  ["two Hosts second", ask("GET /a") + ask("GET /b", "Host: f") + last, "GET /a", "200 400"],
  ["both framings second", `${ask("GET /a")}${ask("POST /b", "Content-Length: 5", chunked)}0\r\n\r\n${last}`, "GET /a", ["200", "200 400"]],
  ["no HTTP second", `${ask("GET /a")}HELO\r\n\r\n${last}`, "GET /a", ["200", "200 400"]],
  ["CONNECT second", ask("GET /a") + ask("CONNECT e:443") + last, "GET /a", ["200", "200 400"]],
  ["an unknown expectation second", ask("GET /a") + ask("POST /b", "Expect: b", "Content-Length: 0") + last, "GET /a", "200 417"],
  ["a dot segment first", ask("GET /b/../c") + last, "", "400"],
  ["a control character first", ask("GET /%00") + last, "", "400"],
  ["GET with a body that is a request", ask("GET /a", `Content-Length: ${last.length}`) + last, "", "400"],
  ["CONNECT first", ask("CONNECT e:443") + last, "", "400"],
  ["an absolute target elsewhere first", ask("GET http://other.test/") + last, "", "400"],
  // A body is what its framing says, never more and never less.
  ["a length shorter than the body", `${ask("POST /a", "Content-Length: 2")}hello${last}`, "POST /a", ["200", "200 400"]],
  ["a length longer than the body", `${ask("POST /a", "Content-Length: 500")}hello${last}`, "", " …"],
  ["chunks after the last chunk", `${ask("POST /a", chunked)}1\r\na\r\n0\r\n\r\n1\r\nb\r\n0\r\n\r\n${last}`, "POST /a", ["200", "200 400"]],
  ["letters after the last chunk", `${ask("POST /a", chunked)}0\r\n\r\nX${last}`, "POST /a", ["200", "200 400"]],
  ["a last chunk without its last CR LF", `${ask("POST /a", chunked)}1\r\na\r\n0\r\n${last}`, "", "400"],
  ["chunks that stop", `${ask("POST /a", chunked)}5\r\nhel`, "", " …"],
  // An upgrade that is not granted opens no tunnel.
  ["a request after an upgrade that is refused", ask("GET /ws", ...upgrade) + last, "GET /ws", "200"],
  ["a request after an upgrade of no known version", ask("GET /ws", ...upgrade, "Sec-WebSocket-Version: 777") + last, "GET /ws", "200"],
  ["an upgrade second", ask("GET /a") + ask("GET /ws", ...upgrade) + last, ["GET /a", "GET /a, GET /ws"], ["200", "200 200"]],
  // node:http drops what comes in one read with an offer that is not taken up.
  [
    "an offer of h2c and the preface of HTTP/2",
    `${ask("GET /a", "Connection: Upgrade", "Upgrade: h2c")}PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`,
    "GET /a",
    ["200 …", "200", "200 400"],
  ],
])("%s", async (_name, text, reaches, answers) => {
  for (const pieces of [1, 4]) {
    backend.forget()
    // What comes second may come before the first answer, or after it.
    expect([answers].flat()).toContain(await statuses(text, pieces))
    expect([reaches].flat()).toContain(backend.requests.map(({ method, target }) => `${method} ${target}`).join(", "))
    expect(backend.faults).toEqual([])
  }
})
