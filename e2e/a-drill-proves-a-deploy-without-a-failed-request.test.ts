import { join } from "node:path"
import { expect, it } from "vitest"
import { eventually } from "./support/eventually.ts"
import { createMesh } from "./support/mesh.ts"
import { meshwork, root } from "./support/programs.ts"

it("a drill restarts a service under load, counts every request, and leaves nothing behind", async () => {
  const mesh = await createMesh({ storage: "memory", routes: "  - { pathPrefix: /, service: member }\n" })
  await mesh.startDiscovery()
  await mesh.startGateway()
  const command = [process.execPath, join(root, "e2e/programs/member.mjs")]
  const drill = (...more: string[]) =>
    meshwork("drill", ["drill", "rolling-restart", "--server", mesh.discoveryUrl, "--service", "member", "--format", "json", ...more], {
      env: { MESHWORK_SERVER: mesh.discoveryUrl },
    })
  const good = drill("--url", mesh.gatewayUrl, "--", ...command)
  expect(await good.ended).toBe(0)
  const result = JSON.parse(good.stdout()) as { restarted: number; requests: number; failures: number; failed: string[]; slowestMs: number }
  expect(result).toMatchObject({ restarted: 2, failures: 0, failed: [] })
  expect(result.requests).toBeGreaterThan(300)
  expect(result.slowestMs).toBeGreaterThan(0)
  expect(good.stderr()).toContain("2 of 2 restarted")
  await eventually("nothing is left", 5000, async () => expect(await mesh.instances("member")).toEqual([]))

  const broken = drill("--url", mesh.gatewayUrl, "--", process.execPath, "-e", "console.log('cannot start'); process.exit(3)")
  expect(await broken.ended).toBe(1)
  expect(broken.stderr()).toMatch(/meshwork: the command ended with 3 before it served:\ncannot start/)
  const missing = drill("--", ...command)
  expect(await missing.ended).toBe(2)
  expect(missing.stderr()).toContain("--url")
})
