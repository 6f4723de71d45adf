import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { eventually } from "./support/eventually.ts"
import { createMesh, getOk } from "./support/mesh.ts"
import { root } from "./support/programs.ts"

const folder = join(root, "docker/prometheus")
const promtool = (...args: string[]) => spawnSync("promtool", args, { cwd: folder, encoding: "utf8" })
const missing = promtool("--version").error !== undefined
if (missing && process.env["MESHWORK_REQUIRE"]?.split(",").includes("prometheus")) throw new Error("promtool is required, and not installed")

it.skipIf(missing).each([[["check", "config", "prometheus.yml"]], [["check", "rules", "rules.yml"]], [["test", "rules", "rules.test.yml"]]])(
  "promtool %s finds nothing to complain about",
  (args) => {
    const { status, stdout, stderr } = promtool(...args)
    expect(status, `${stdout}${stderr}`).toBe(0)
    expect(`${stdout}${stderr}`).not.toMatch(/FAILED|warning|deprecated/i)
  },
)

it("every metric that a rule names is told by a discovery server, a gateway or a service", async () => {
  const rules = readFileSync(join(folder, "rules.yml"), "utf8")
  const recorded = new Set([...rules.matchAll(/record: (\S+)/g)].map(([, name]) => name))
  const named = new Set([...rules.matchAll(/\b(?:\w+:)?meshwork_\w+(?::\w+)?/g)].map(([name]) => name).filter((name) => !recorded.has(name)))
  expect(named.size).toBeGreaterThan(8)

  const mesh = await createMesh({ storage: "memory" })
  await mesh.startDiscovery()
  await mesh.startGateway()
  await mesh.startShop("payment")
  const orders = await mesh.startShop("orders")
  await eventually("the gateway answers", 10_000, () => getOk(`${mesh.gatewayUrl}/api/orders/7`))
  const texts = await Promise.all(
    [mesh.discoveryUrl, mesh.adminUrl, `http://${orders.address}`].map(async (url) => {
      const response = await fetch(`${url}/metrics`)
      expect(response.status, url).toBe(200)
      return response.text()
    }),
  )
  const told = new Set(
    texts
      .join("\n")
      .match(/^# TYPE \S+/gm)
      ?.map((line) => line.slice("# TYPE ".length)),
  )
  expect([...named].filter((name) => !told.has(name) && !told.has(name.replace(/_(bucket|count|sum)$/, "")))).toEqual([])
})
