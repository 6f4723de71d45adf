import { PassThrough } from "node:stream"
import { pino } from "pino"
import { expect, it, onTestFinished } from "vitest"
import { runDiscovery } from "./index.ts"

it("runs on a free port, says where, and closes twice without harm", async () => {
  const lines = new PassThrough()
  const discovery = await runDiscovery({ port: 0, storage: "memory", log: pino(lines) })
  onTestFinished(() => discovery.close())
  expect(await (await fetch(`${discovery.url}/ready`)).json()).toEqual({ ready: true, reasons: [] })
  await discovery.close()
  await discovery.close()
  expect(String(lines.read())).toContain(`"url":"${discovery.url}"`)
  await expect(fetch(`${discovery.url}/ready`)).rejects.toThrow()
})

it("refuses an unknown storage before anything listens", async () => {
  await expect(runDiscovery({ port: 0, storage: "redis://x" })).rejects.toMatchObject({
    code: "invalid_config",
    message: expect.stringContaining("sqlite:PATH"),
  })
})

it("writes no token to its log", async () => {
  const lines = new PassThrough()
  const discovery = await runDiscovery({
    port: 0,
    storage: "memory",
    tokens: [{ name: "ci", token: "very-secret" }],
    log: pino({ level: "trace" }, lines),
  })
  onTestFinished(() => discovery.close())
  await fetch(`${discovery.url}/v1/services/a/instances/b`, {
    method: "PUT",
    headers: { authorization: "Bearer very-secret", "content-type": "application/json" },
    body: "{",
  })
  await discovery.close()
  expect(String(lines.read())).not.toContain("very-secret")
})
