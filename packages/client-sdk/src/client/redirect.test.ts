import { expect, it, onTestFinished } from "vitest"
import { loopbackServer } from "../testing/loopback-server.ts"
import { createClient } from "./fixed-endpoint.ts"
import { type Hop, redirectOf } from "./redirect.ts"

const hop = (changes: Partial<Hop> = {}): Hop => ({
  origin: "https://a:1",
  method: "POST",
  target: "/x/y?q",
  headers: { authorization: "t", cookie: "c", "content-type": "text/plain", "x-own": "1" },
  body: "hello",
  ...changes,
})

it.each<[string, number, string | null, Partial<Hop>, Partial<Hop> | undefined]>([
  ["a relative path is joined", 307, "z", {}, { origin: "https://a:1", target: "/x/z", method: "POST", body: "hello" }],
  ["308 keeps method and body", 308, "/z?a=b#c", { method: "PUT" }, { target: "/z?a=b", method: "PUT", body: "hello" }],
  ["303 becomes GET", 303, "/z", { method: "PUT" }, { method: "GET", body: null }],
  ["303 leaves HEAD", 303, "/z", { method: "HEAD", body: null }, { method: "HEAD" }],
  ["302 after POST becomes GET", 302, "/z", {}, { method: "GET", body: null }],
  ["302 after DELETE does not", 302, "/z", { method: "DELETE" }, { method: "DELETE" }],
  ["https to http is refused", 307, "http://a:1/z", {}, undefined],
  ["http to https is not", 307, "https://b/z", { origin: "http://a:1" }, { origin: "https://b" }],
  ["other schemes are", 307, "file:///etc/passwd", { origin: "http://a:1" }, undefined],
  ["no location", 307, null, {}, undefined],
  ["no URL", 307, "http://[", {}, undefined],
  ["300 is no redirect", 300, "/z", {}, undefined],
  ["304 is none either", 304, "/z", {}, undefined],
])("%s", (_title, status, location, changes, next) => {
  const found = redirectOf(hop(changes), status, location)
  if (next === undefined) expect(found).toBeUndefined()
  else expect(found).toMatchObject(next)
})

it("credentials stay with their origin, and what describes a body with the body", () => {
  expect(redirectOf(hop(), 307, "https://b/z")?.headers).toEqual({ "content-type": "text/plain", "x-own": "1" })
  expect(redirectOf(hop(), 307, "/z")?.headers).toMatchObject({ authorization: "t", cookie: "c" })
  expect(redirectOf(hop(), 303, "/z")?.headers).toEqual({ authorization: "t", cookie: "c", "x-own": "1" })
})

it("follows to another server without credentials, and says who answered", async () => {
  const there = await loopbackServer((request, response) => response.end(JSON.stringify([request.url, request.headers.authorization ?? null])))
  const { url } = await loopbackServer((_request, response) => response.writeHead(302, { location: `${there.url}/moved` }).end())
  const client = createClient({ endpoint: url })
  onTestFinished(() => client.close())
  const response = await client.get("/", { headers: { authorization: "secret" } })
  expect(await response.json({ anyType: true })).toEqual(["/moved", null])
  expect([response.endpoint, response.attempts]).toEqual([`127.0.0.1:${there.port}`, 1])
})

it("ends after ten, or after as many as asked for", async () => {
  let requests = 0
  const { url } = await loopbackServer((_request, response) => {
    requests++
    response.writeHead(302, { location: "/again" }).end()
  })
  const client = createClient({ endpoint: url })
  onTestFinished(() => client.close())
  await expect(client.get("/")).rejects.toMatchObject({ code: "too_many_redirects", status: 488 })
  expect(requests).toBe(11)
  const untouched = await client.get("/", { maxRedirects: 0 })
  expect([untouched.status, untouched.headers.get("location"), requests]).toEqual([302, "/again", 12])
})

it("a redirect into nothing is no connection to try elsewhere for free", async () => {
  const closed = await loopbackServer(() => {})
  closed.stop()
  let requests = 0
  const { url } = await loopbackServer((_request, response) => {
    requests++
    response.writeHead(307, { location: closed.url }).end()
  })
  const client = createClient({ endpoint: url })
  onTestFinished(() => client.close())
  await expect(client.post("/")).rejects.toMatchObject({ code: "upstream_reset" })
  expect(requests).toBe(1)
})
