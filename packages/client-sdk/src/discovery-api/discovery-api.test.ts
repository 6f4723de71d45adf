import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { expect, it, onTestFinished } from "vitest"
import { createDiscoveryApi } from "./index.ts"

type Answer = { status: number; body: unknown }

const taken: Answer = { status: 200, body: { expiresAt: 1 } }
const pending: Answer = { status: 202, body: { pending: true } }
const unknown: Answer = {
  status: 404,
  body: { type: "urn:meshwork:error:not_found", title: "x", status: 404, detail: "not there", code: "not_found" },
}
const away: Answer = {
  status: 503,
  body: { type: "urn:meshwork:error:storage_unavailable", title: "x", status: 503, detail: "away", code: "storage_unavailable" },
}

/** Servers that answer what the test says, and remember in which order they were asked. */
async function servers(...answers: Answer[]) {
  const asked: number[] = []
  const urls = await Promise.all(
    answers.map(async (_, index) => {
      const server = createServer((request, response) => {
        request.resume()
        asked.push(index)
        const { status, body } = answers[index] ?? taken
        const type = status < 400 ? "application/json" : "application/problem+json"
        response.writeHead(status, { "content-type": type }).end(JSON.stringify(body))
      })
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      onTestFinished(() => {
        server.closeAllConnections()
        return new Promise<void>((resolve) => server.close(() => resolve()))
      })
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    }),
  )
  const api = createDiscoveryApi({ urls })
  const beat = () => api.call("heartbeat", { params: { service: "s", id: "i" }, body: {} }).then(({ status }) => status)
  return { answers, asked, beat }
}

it("takes a heartbeat that one server cannot pass on to the next, and stays there", async () => {
  const { asked, beat } = await servers(pending, taken)
  expect([await beat(), await beat(), asked]).toEqual([200, 200, [0, 1, 1]])
})

it.each([
  { what: "the others cannot either", second: pending },
  { what: "the others have lost their store", second: away },
])("answers 202 when $what, and begins at the same server again", async ({ second }) => {
  const { answers, asked, beat } = await servers(pending, second)
  expect([await beat(), asked]).toEqual([202, [0, 1]])
  answers[0] = taken
  expect([await beat(), asked]).toEqual([200, [0, 1, 0]])
})

it("rejects when another server, which reaches its store, does not know the instance", async () => {
  const { beat } = await servers(pending, unknown)
  await expect(beat()).rejects.toMatchObject({ code: "not_found" })
})
