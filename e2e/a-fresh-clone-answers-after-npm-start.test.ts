import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { expect, it } from "vitest"
import { eventually } from "./support/eventually.ts"
import { getOk } from "./support/mesh.ts"
import { freePorts, launch, root, scratchFolder } from "./support/programs.ts"

it("npm start in a fresh clone brings up the shop behind the gateway, and one signal stops everything", async () => {
  const clone = join(scratchFolder(), "meshwork")
  expect(spawnSync("git", ["clone", "--quiet", root, clone]).status).toBe(0)
  const [gateway, admin, discovery] = await freePorts(3)
  const args = ["start", "--", "--port", String(gateway), "--admin-port", String(admin), "--discovery-port", String(discovery)]
  const program = launch("npm start", "npm", args, { cwd: clone })
  const failed = program.ended.then((code) => Promise.reject(new Error(`npm start ended with ${code}`)))
  await Promise.race([failed, eventually("npm start says what runs", 100_000, () => expect(program.stdout()).toContain("Try it:"))])
  failed.catch(() => {})
  expect(program.stdout()).toContain(`curl http://127.0.0.1:${gateway}/api/orders/7`)

  const served = new Set<string>()
  for (let call = 0; call < 40 || (served.size < 4 && call < 2000); call++) {
    const answer = (await getOk(`http://127.0.0.1:${gateway}/api/orders/7`)) as {
      servedBy: Record<string, string>
      remainingMs: Record<string, number>
    }
    for (const instance of Object.values(answer.servedBy)) served.add(instance)
    expect(answer.remainingMs.orders).toBeLessThanOrEqual(5000)
    expect(answer.remainingMs.payment).toBeLessThanOrEqual(answer.remainingMs.orders ?? 0)
    expect(answer.remainingMs.payment).toBeGreaterThan(3000)
  }
  expect(served.size).toBe(4)

  const pids = [...program.stdout().matchAll(/\(pid (\d+)\)/g)].map((match) => Number(match[1]))
  expect(pids).toHaveLength(4)
  program.kill("SIGINT")
  expect(await program.ended).toBe(0)
  await eventually("every process is gone", 5000, () => {
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow("ESRCH")
  })
  await expect(fetch(`http://127.0.0.1:${gateway}/`)).rejects.toThrow("fetch failed")
})
