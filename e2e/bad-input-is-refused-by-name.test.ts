import { writeFileSync } from "node:fs"
import { createServer, type AddressInfo } from "node:net"
import { join } from "node:path"
import { expect, it } from "vitest"
import { createMesh, getOk } from "./support/mesh.ts"
import { meshwork, scratchFolder } from "./support/programs.ts"

it("a bad registration gets a problem body and leaves the registry as it was", async () => {
  const mesh = await createMesh({ storage: "memory" })
  await mesh.startDiscovery()
  const put = (body: string) =>
    fetch(`${mesh.discoveryUrl}/v1/services/a/instances/1`, { method: "PUT", headers: { "content-type": "application/json" }, body })
  const before = await getOk(`${mesh.discoveryUrl}/v1/services`)
  for (const [body, mention] of [
    ['{"host":"127.0.0.1","port":1,"wieght":3}', "wieght"],
    ['{"host":"127.0.0.1","port":70000}', "port"],
    ['{"host":"127.0.0.1",', "JSON"],
    ["[]", "object"],
    ['{"port":1}', "host"],
  ] as const) {
    const response = await put(body)
    const problem = (await response.json()) as { code: string; detail: string; status: number; type: string }
    expect([response.status, problem.code, problem.type]).toEqual([400, "invalid_request", "urn:meshwork:error:invalid_request"])
    expect(response.headers.get("content-type")).toContain("application/problem+json")
    expect(problem.detail).toContain(mention)
  }
  expect((await put(JSON.stringify({ host: "127.0.0.1", port: 1, tags: { a: "x".repeat(300_000) } }))).status).toBe(413)
  expect(await getOk(`${mesh.discoveryUrl}/v1/services`)).toEqual(before)
})

it("a broken configuration file names every error with its line and ends with 2", async () => {
  const file = join(scratchFolder(), "meshwork.yaml")
  writeFileSync(file, "gateway:\n  port: 99999\n  prot: 1\nroutes:\n  - { pathPrefix: api, service: a }\n  - { service: b }\n")
  for (const command of [["up"], ["discovery"], ["gateway"], ["check"]]) {
    const program = meshwork(command.join(" "), [...command, "-c", file])
    expect(await program.ended).toBe(2)
    for (const line of [2, 3, 5, 6]) expect(program.stderr() + program.stdout()).toContain(`${file}:${line}`)
    expect(program.stderr()).not.toMatch(/^\s+at /m)
  }
})

it("a taken port is named together with the option", async () => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve))
  const { port } = taken.address() as AddressInfo
  try {
    const program = meshwork("discovery", ["discovery", "--storage", "memory", "--port", String(port)])
    expect(await program.ended).toBe(1)
    expect(program.stderr()).toContain(String(port))
    expect(program.stderr()).toContain("--port")
  } finally {
    taken.close()
  }
})
