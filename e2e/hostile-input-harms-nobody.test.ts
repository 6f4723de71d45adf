import { readFileSync } from "node:fs"
import { connect } from "node:net"
import { expect, it } from "vitest"
import { eventually } from "./support/eventually.ts"
import { journalOf } from "./support/journal.ts"
import { startMember } from "./support/members.ts"
import { createMesh, getOk } from "./support/mesh.ts"

const json = { "content-type": "application/json" }
const deep = (depth: number) => `${'{"tags":'.repeat(depth)}{}${"}".repeat(depth)}`
const bodies: readonly string[] = [
  deep(50_000),
  "[".repeat(200_000),
  `{"host":"127.0.0.1","port":1,"tags":{"a":"${"x".repeat(10 * 1024 * 1024)}"}}`,
  '{"__proto__":{"polluted":1},"host":"127.0.0.1","port":1}',
  '{"constructor":{"prototype":{"polluted":1}},"host":"127.0.0.1","port":1}',
  JSON.stringify({ host: "127.0.0.1", port: 1, tags: Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`t${n}`, n])) }),
  '{"host":"a\\u0000b","port":1}',
  '{"port":1e999,"host":"127.0.0.1"}',
  "\u0000",
  "",
]
const texts: readonly string[] = ["%00", "%ff", "%", "%2e%2e", "a%2fb", "__proto__", "x".repeat(5000), "%F0%9F%92%A9"]

function residentMegabytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024
}

/** Every route the server says it has, with hostile texts for its parameters. */
async function hostileRequests(discoveryUrl: string): Promise<{ method: string; path: string }[]> {
  const document = (await getOk(`${discoveryUrl}/openapi.json`)) as { paths: Record<string, Record<string, unknown>> }
  return Object.entries(document.paths).flatMap(([path, methods]) => {
    const plain = path.replace("{service}", "member").replace("{id}", "nobody")
    const odd = texts.map((text) => path.replace("{service}", text).replace("{id}", text))
    const all = [...new Set([plain, ...odd, `${plain}?service=%00&__proto__=1&limit=-1`])]
    return Object.keys(methods).flatMap((method) => all.map((each) => ({ method: method.toUpperCase(), path: each })))
  })
}

it("hostile input on every route of the registry is refused by name, while others are served and memory stays bounded", async () => {
  const mesh = await createMesh({ storage: "memory" })
  const discovery = await mesh.startDiscovery()
  await Promise.all(Array.from({ length: 4 }, () => startMember({ discoveryUrl: mesh.discoveryUrl, ttlSeconds: 3 })))
  await eventually("all serve", 10_000, async () => expect(await mesh.instances("member")).toHaveLength(4))
  const slow = Array.from({ length: 200 }, () => {
    const socket = connect(Number(new URL(mesh.discoveryUrl).port), "127.0.0.1")
    socket.on("error", () => {})
    socket.write("PUT /v1/services/a/instances/b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 200000\r\n\r\n{")
    return socket
  })

  const statuses = new Map<number, number>()
  let slowestMs = 0
  let attacking = true
  const watched = (async () => {
    while (attacking) {
      const begin = performance.now()
      await getOk(`${mesh.discoveryUrl}/v1/services/member/instances`)
      slowestMs = Math.max(slowestMs, performance.now() - begin)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  })()
  const attack = async (method: string, path: string, body?: string): Promise<void> => {
    const response = await fetch(mesh.discoveryUrl + path, { method, ...(body === undefined ? {} : { headers: json, body }) }).catch(() => undefined)
    const status = response?.status ?? 0
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
    const text = path.startsWith("/v1/watch") ? await response?.body?.cancel() : await response?.text()
    expect(text ?? "").not.toMatch(/node_modules|\.js:\d+/)
    // lyft's routes have an error shape of their own.
    if (status >= 400 && !/^\/v1\/(?:registration|loadbalancing)/.test(path))
      expect(response?.headers.get("content-type"), `${method} ${path}`).toContain("application/problem+json")
  }
  const requests = await hostileRequests(mesh.discoveryUrl)
  expect(requests.length).toBeGreaterThan(50)
  for (let round = 0; round < 3; round++) {
    for (const { method, path } of requests) await attack(method, path)
    for (const { method, path } of requests.filter(({ method }) => method !== "GET" && method !== "DELETE")) {
      if (path.length < 100) await Promise.all(bodies.map((body) => attack(method, path, body)))
    }
  }
  attacking = false
  await watched
  for (const socket of slow) socket.destroy()

  expect(statuses.get(500) ?? 0).toBe(0)
  expect(statuses.get(400) ?? 0).toBeGreaterThan(500)
  expect(statuses.get(413) ?? 0).toBeGreaterThan(20)
  expect(slowestMs).toBeLessThan(2000)
  expect(residentMegabytes(discovery.pid)).toBeLessThan(400)
  expect((await journalOf(mesh.discoveryUrl, "member")).filter(({ what }) => what !== "registered")).toEqual([])
  expect((await mesh.instances("member")).map(({ standing }) => standing)).toEqual(Array(4).fill("serving"))
  process.stdout.write(`${[...statuses].sort().join(" ")}; slowest ${slowestMs.toFixed(0)} ms; ${residentMegabytes(discovery.pid).toFixed(0)} MB\n`)
})
