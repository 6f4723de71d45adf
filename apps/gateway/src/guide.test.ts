import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseConfig } from "@meshwork/config"
import { pino } from "pino"
import { expect, it, onTestFinished } from "vitest"
import { explainConfig, runGateway } from "./index.ts"

const page = readFileSync(join(import.meta.dirname, "../../../docs/guides/gateway.md"), "utf8")
const examples = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, text = ""]) => text)
const [routes = ""] = examples
const read = (text: string) => parseConfig({ text, file: "example" }, { env: {} })

it.each(examples)("the guide's example is accepted: %.60s", (text) => {
  expect(read(text).warnings).toEqual([])
})

it("the guide's routes do what it says", async () => {
  const seen = new Map<string, string>()
  const ports = await Promise.all(
    [9481, 9482, 9483].map(async (written) => {
      const server = createServer((request, response) => response.end(`${written} saw ${request.url}\n`))
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      onTestFinished(() => {
        server.closeAllConnections()
        server.close()
      })
      const { port } = server.address() as { port: number }
      seen.set(String(written), String(port))
      return port
    }),
  )
  expect(new Set(ports).size).toBe(3)
  const config = read(
    routes.replace(/\b948\d\b/g, (written) => seen.get(written) ?? "").replace("port: 8080, adminPort: 8009", "port: 0, adminPort: 0"),
  )
  const dataDirectory = mkdtempSync(join(tmpdir(), "meshwork-guide-"))
  const running = await runGateway({ ...config, dataDirectory, log: pino({ level: "silent" }) })
  onTestFinished(async () => {
    await running.close()
    rmSync(dataDirectory, { recursive: true })
  })
  const { url, adminUrl } = running
  const get = async (path: string, init?: RequestInit) => (await fetch(`${url}${path}`, init)).text()
  expect(await get("/api/orders/7?a=b")).toMatch(/^948[12] saw \/7\?a=b\n$/)
  expect(await get("/api/orders/7", { method: "DELETE" })).toBe("9483 saw /api/orders/7\n")
  expect((await fetch(`${url}/api/ordersx`)).status).toBe(404)
  const [, told = ""] = /^(GET \/api\/orders\/7 \(Host: localhost\): .*)$/m.exec(page) ?? []
  const asked = (await (await fetch(`${adminUrl}/explain?path=/api/orders/7`)).json()) as { outcome: string; considered: { why: string }[] }
  expect(told).toBe(`GET /api/orders/7 (Host: localhost): ${asked.outcome}`)
  for (const { why } of asked.considered) expect(page).toContain(why)
  expect(explainConfig(config, { method: "GET", path: "/api/orders/7", host: "admin.test" })).toMatchObject({ service: "admin" })
})
