import { mkdtempSync, rmSync } from "node:fs"
import { Agent, createServer, request } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ConfigError, type LoadedConfig, parseConfig } from "@meshwork/config"
import { seededRandom } from "@meshwork/contract/testing"
import { pino } from "pino"
import { expect, it, onTestFinished } from "vitest"
import { explainConfig, runGateway } from "./index.ts"

const files = 300
const names = ["s0", "s1", "s2"] as const
const random = seededRandom(7)
const any = <const T>(list: readonly [T, ...T[]]): T => list[Math.floor(random() * list.length)] ?? list[0]

const path = (): string => `/${Array.from({ length: Math.floor(random() * 4) }, () => any(["a", "b", "ab", "", "%2F"])).join("/")}`

function randomFile(ports: readonly number[]): string {
  const routes = Array.from({ length: 1 + Math.floor(random() * 8) }, () => ({
    ...(random() < 0.5
      ? { pathPrefix: path(), ...(random() < 0.3 ? { stripPrefix: true } : {}) }
      : { path: path(), match: any(["exact", "exact-or-slash"]) }),
    service: any(names),
    ...(random() < 0.3 ? { host: any(["x.test", "Y.test"]) } : {}),
    ...(random() < 0.3 ? { methods: [any(["GET", "post"])] } : {}),
  }))
  const services = Object.fromEntries(names.map((name, index) => [name, { instances: [`127.0.0.1:${ports[index]}`] }]))
  const gateway = { port: 0, adminPort: 0, discovery: [] }
  return JSON.stringify({ gateway, services, routes, ...(random() < 0.3 ? { defaultResponse: { statusCode: 403, body: "no" } } : {}) })
}

/** A random file that is accepted; some name one path twice. */
function accepted(ports: readonly number[]): LoadedConfig {
  for (;;) {
    try {
      return parseConfig({ text: randomFile(ports), file: "random" }, { env: {} })
    } catch (error) {
      if (!ConfigError.is(error)) throw error
    }
  }
}

it("of random files, each read by the running gateway in turn, a file alone tells what the gateway then does", { timeout: 180_000 }, async () => {
  const ports = await Promise.all(
    names.map(async (name) => {
      const server = createServer((incoming, response) => response.end(`${name} ${incoming.url}`))
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      onTestFinished(() => {
        server.closeAllConnections()
        server.close()
      })
      return (server.address() as AddressInfo).port
    }),
  )
  const dataDirectory = mkdtempSync(join(tmpdir(), "meshwork-files-"))
  const running = await runGateway({ ...accepted(ports), dataDirectory, log: pino({ level: "silent" }) })
  const agent = new Agent({ keepAlive: true })
  const ask = (method: string, host: string, target: string): Promise<[status: number, text: string]> =>
    new Promise((resolve, reject) => {
      const { port } = new URL(running.url)
      const sent = request({ agent, port, host: "127.0.0.1", method, path: target, headers: { host, "content-length": 0 } }, (response) => {
        let text = ""
        response.on("data", (chunk) => (text += String(chunk))).on("end", () => resolve([response.statusCode ?? 0, text]))
      })
      sent.on("error", reject).end()
    })
  onTestFinished(async () => {
    agent.destroy()
    await running.close()
    rmSync(dataDirectory, { recursive: true })
  })
  let routed = 0
  for (let file = 0; file < files; file++) {
    const config = accepted(ports)
    await running.reload(config)
    for (let call = 0; call < 3; call++) {
      const [method, host, target] = [any(["GET", "POST", "PUT"] as const), any(["x.test", "y.test", "z.test"]), path()]
      const told = explainConfig(config, { method, path: target, host })
      const [status, text] = await ask(method, host, target)
      const context = JSON.stringify({ method, host, target, told, routes: config.routes })
      if (told.route === null) expect(status, context).toBe(config.defaultResponse === undefined ? 404 : 403)
      else {
        routed++
        expect([status, text], context).toEqual([200, `${told.service} ${told.upstream_path}`])
      }
    }
  }
  expect(routed).toBeGreaterThan(files / 2)
})
