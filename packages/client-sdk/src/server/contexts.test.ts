import express from "express"
import fastify from "fastify"
import { expect, it, onTestFinished } from "vitest"
import { createClient } from "../client/fixed-endpoint.ts"
import { currentContext } from "../context.ts"
import { loopbackServer } from "../testing/loopback-server.ts"
import { meshContext as fastifyContext } from "./fastify.ts"
import { meshContext, type NodeHandler } from "./node.ts"

const told = () => ({ remainingMs: Math.round(currentContext()?.deadline?.remainingMs ?? -1), priority: currentContext()?.priority ?? null })

async function viaNode(options: Parameters<typeof meshContext>[0] = {}, handler?: NodeHandler): Promise<string> {
  const wrapped = meshContext(options)(
    handler ?? ((_request, response) => response.setHeader("content-type", "application/json").end(JSON.stringify(told()))),
  )
  return (await loopbackServer(wrapped)).url
}

async function viaFastify(options: Parameters<typeof fastifyContext>[0] = {}): Promise<string> {
  const app = fastify()
  await app.register(fastifyContext(options))
  app.get("/", () => told())
  app.post("/", () => told())
  app.get("/slow", async () => {
    const { signal } = currentContext() ?? {}
    await new Promise((resolve) => signal?.addEventListener("abort", resolve))
    return "too late"
  })
  app.get("/own", { config: { timeoutMs: 700 } }, () => told())
  onTestFinished(() => app.close())
  return app.listen({ host: "127.0.0.1", port: 0 })
}

it.each([
  ["node:http", viaNode],
  ["Fastify", viaFastify],
])("%s reads deadline and priority, and tells its load", async (_name, serve) => {
  const url = await serve()
  const response = await fetch(url, { headers: { "x-request-timeout": "1.5", "x-request-priority": "HIGH" } })
  expect(response.headers.get("x-meshwork-load")).toMatch(/^lag=\d+,inflight=\d+$/)
  const { remainingMs, priority } = (await response.json()) as { remainingMs: number; priority: string }
  expect(remainingMs).toBeGreaterThan(1300)
  expect(remainingMs).toBeLessThanOrEqual(1500)
  expect(priority).toBe("high")
})

it.each([
  ["node:http", viaNode],
  ["Fastify", viaFastify],
])("%s refuses what is too late with 408 and forbids retries", async (_name, serve) => {
  const url = await serve()
  for (const late of ["0", "0.005"]) {
    const response = await fetch(url, { headers: { "x-request-timeout": late } })
    expect([response.status, response.headers.get("x-do-not-retry"), ((await response.json()) as { code: string }).code]).toEqual([
      408,
      "1",
      "deadline_exceeded",
    ])
  }
  expect((await fetch(url, { headers: { "x-request-timeout": "0.5" } })).status).toBe(200)
})

it.each(["-1", "soon", "", "1e3"])("an unreadable time-out %j is ignored", async (value) => {
  const response = await fetch(await viaNode(), { headers: { "x-request-timeout": value, "x-request-priority": "urgent" } })
  const { remainingMs, priority } = (await response.json()) as { remainingMs: number; priority: null }
  expect([remainingMs > 19_000, priority]).toEqual([true, null])
})

it.each([
  ["node:http", viaNode],
  ["Fastify", viaFastify],
])("%s keeps the context while a body comes in", async (_name, serve) => {
  const body = JSON.stringify({ text: "x".repeat(300_000) })
  const headers = { "x-request-timeout": "3", "x-request-priority": "low", "content-type": "application/json" }
  const response = await fetch(await serve(), { method: "POST", headers, body })
  const { remainingMs, priority } = (await response.json()) as { remainingMs: number; priority: string }
  expect([remainingMs > 1000, remainingMs <= 3000, priority]).toEqual([true, true, "low"])
})

it.each([
  ["node:http", viaNode],
  ["Fastify", viaFastify],
])("%s reads no header where that is turned off", async (_name, serve) => {
  const response = await fetch(await serve({ readSystemHeaders: false }), { headers: { "x-request-timeout": "0", "x-request-priority": "low" } })
  const { remainingMs, priority } = (await response.json()) as { remainingMs: number; priority: null }
  expect([remainingMs > 19_000, priority]).toEqual([true, null])
})

it("a route's own limit counts where the request names none", async () => {
  const { remainingMs } = (await (await fetch(`${await viaFastify()}/own`)).json()) as { remainingMs: number }
  expect(remainingMs).toBeLessThanOrEqual(700)
})

it("answers 408 at the deadline and aborts the handler's signal where that is asked for", async () => {
  let aborted = false
  const url = await viaNode({ cancelOnTimeout: true }, () => {
    currentContext()?.signal?.addEventListener("abort", () => (aborted = true))
  })
  expect([(await fetch(url, { headers: { "x-request-timeout": "0.1" } })).status, aborted]).toEqual([408, true])
})

it("so does Fastify", async () => {
  const url = `${await viaFastify({ cancelOnTimeout: true })}/slow`
  const response = await fetch(url, { headers: { "x-request-timeout": "0.1" } })
  expect([response.status, response.headers.get("x-do-not-retry")]).toEqual([408, "1"])
})

it("a deadline travels through two services and only shrinks", async () => {
  const last = createClient({ endpoint: await viaNode() })
  onTestFinished(() => last.close())
  const middle = createClient({
    endpoint: await viaNode({}, async (_request, response) => {
      const own = told()
      const inner = await (await last.get("/", { timeoutMs: 60_000 })).json()
      response.setHeader("content-type", "application/json").end(JSON.stringify([own, inner]))
    }),
  })
  onTestFinished(() => middle.close())
  const [own, inner] = (await (await middle.get("/", { timeoutMs: 2000, priority: "low" })).json()) as { remainingMs: number; priority: string }[]
  expect(own?.remainingMs).toBeLessThanOrEqual(2000)
  expect(inner?.remainingMs).toBeLessThanOrEqual(own?.remainingMs ?? 0)
  expect(inner?.remainingMs).toBeGreaterThan(1500)
  expect([own?.priority, inner?.priority]).toEqual(["low", "low"])
})

async function viaExpress(options: Parameters<typeof meshContext>[0] = {}): Promise<string> {
  const app = express()
  app.use(meshContext(options))
  app.get("/charges/:id", (_request, response) => void response.json(told()))
  app.get("/later", (_request, response, next) => {
    setTimeout(() => (currentContext()?.priority === "high" ? response.json(told()) : next(new Error("the context is lost"))), 5)
  })
  return (await loopbackServer(app)).url
}

it("Express has the context in its handlers, later too, and refuses what is too late", async () => {
  const url = await viaExpress()
  for (const path of ["/charges/7", "/later"]) {
    const response = await fetch(url + path, { headers: { "x-request-timeout": "1.5", "x-request-priority": "high" } })
    expect(response.headers.get("x-meshwork-load")).toMatch(/^lag=/)
    const { remainingMs, priority } = (await response.json()) as { remainingMs: number; priority: string }
    expect([remainingMs > 1000 && remainingMs <= 1500, priority]).toEqual([true, "high"])
  }
  expect((await fetch(`${url}/later`, { headers: { "x-request-timeout": "0.001" } })).status).toBe(408)
})

it("Express tells metrics the route, not the path", async () => {
  const seen: string[] = []
  const url = await viaExpress({ observer: { request: ({ method, path, status }) => seen.push(`${method} ${path} ${status}`) } })
  await (await fetch(`${url}/charges/7`)).text()
  await (await fetch(`${url}/nothing/here`)).text()
  await expect.poll(() => seen).toEqual(["GET /charges/:id 200", "GET other 404"])
})
