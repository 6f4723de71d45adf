import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it, onTestFinished } from "vitest"
import { spawnMeshwork, until } from "./testing/spawn-meshwork.ts"

it("is built and says its version", async () => {
  const { output, ended } = spawnMeshwork(["--version"])
  expect([await ended, output.stderr]).toEqual([0, ""])
  expect(output.stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
})

it("shows its help without loading schemas, parsers and servers", async () => {
  const hook = `import { registerHooks } from "node:module"
    registerHooks({ load(url, context, next) { if (/node_modules/.test(url)) process.stderr.write(url + "\\n"); return next(url, context) } })`
  const { output, ended } = spawnMeshwork(["--help"], { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(hook)}` })
  expect(await ended).toBe(0)
  expect(output.stderr).toContain("commander")
  const others = output.stderr.split("\n").filter((url) => url !== "" && !/\/node_modules\/commander\//.test(url))
  expect(others).toEqual([])
})

it("a reader that has seen enough ends it silently", async () => {
  const { child, output, ended } = spawnMeshwork(["discovery", "--help"])
  child.stdout?.destroy()
  expect([await ended, output.stderr]).toEqual([0, ""])
})

it("a watch whose reader is gone ends silently at the next change", async () => {
  const server = spawnMeshwork(["discovery", "--storage", "memory"], { MESHWORK_DISCOVERY_PORT: "0" })
  const url = () => /http:\/\/127\.0\.0\.1:\d+/.exec(server.output.stderr)?.[0] ?? ""
  await until(
    () => url() !== "",
    () => server.output.stderr,
  )
  const register = (name: string) =>
    spawnMeshwork(["service", "register", "--server", url(), "--service-type", "t", "--service-name", name, "--service-location", "h:1"]).ended
  await register("a")
  const { child, output, ended } = spawnMeshwork(["service", "watch", "--server", url()])
  await until(
    () => output.stdout !== "",
    () => output.stderr,
  )
  child.stdout?.destroy()
  expect(await register("b")).toBe(0)
  expect([await ended, output.stderr]).toEqual([0, ""])
})

it("a failure stays a failure when nobody reads the results", async () => {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-bin-"))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, "bad.yaml"), Array.from({ length: 400 }, (_, index) => `wrong${index}: 1\n`).join(""))
  const { child, ended } = spawnMeshwork(["check", "-c", join(folder, "bad.yaml")])
  child.stdout?.destroy()
  expect(await ended).toBe(2)
})

it("a registration is kept up when nobody reads its result", async () => {
  const server = spawnMeshwork(["discovery", "--storage", "memory"], { MESHWORK_DISCOVERY_PORT: "0" })
  const url = () => /http:\/\/127\.0\.0\.1:\d+/.exec(server.output.stderr)?.[0] ?? ""
  await until(
    () => url() !== "",
    () => server.output.stderr,
  )
  const instance = ["--service-type", "t", "--service-name", "a", "--service-location", "h:1"]
  const kept = ["--ttl", "6", "--refresh-every", "1", "--format", "json"]
  const { child, output, ended } = spawnMeshwork(["service", "register", "--server", url(), ...instance, ...kept])
  child.stdout?.destroy()
  const registered = async () => (await fetch(`${url()}/v1/services/t/instances/a`)).status === 200
  await until(registered, () => output.stderr)
  const since = performance.now()
  await until(
    () => performance.now() - since > 8000,
    () => "",
  )
  expect(await registered()).toBe(true)
  child.kill("SIGTERM")
  expect([await ended, await registered()]).toEqual([0, false])
})

it("a discovery server runs until a signal, however often it comes", async () => {
  const { child, output, ended } = spawnMeshwork(["discovery", "--storage", "memory"], { MESHWORK_DISCOVERY_PORT: "0" })
  await until(
    () => /http:\/\/127\.0\.0\.1:\d+/.test(output.stderr),
    () => output.stderr,
  )
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(output.stderr)?.[0] ?? ""
  expect((await fetch(`${url}/ready`)).status).toBe(200)
  let over = false
  void ended.finally(() => (over = true))
  while (!over) {
    child.kill("SIGINT")
    child.kill("SIGTERM")
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect([await ended, output.stdout]).toEqual([0, ""])
})

it("a taken port is named together with the option, without a stack trace", async () => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve))
  const { port } = taken.address() as AddressInfo
  const { output, ended } = spawnMeshwork(["discovery", "--storage", "memory", "--port", String(port)])
  expect(await ended).toBe(1)
  expect(output.stderr).toContain(`port ${port} on 127.0.0.1 is taken: choose another one with --port`)
  expect(output.stderr).not.toMatch(/^\s+at /m)
  await new Promise((resolve) => taken.close(resolve))
})
