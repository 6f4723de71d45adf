import { type ChildProcess, spawn } from "node:child_process"
import { createServer, type AddressInfo } from "node:net"
import { join } from "node:path"
import { afterEach, expect, it } from "vitest"

const bin = join(import.meta.dirname, "../bin/meshwork.js")
const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL")
})

function meshwork(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [bin, ...args], { env: { PATH: process.env["PATH"] ?? "", ...env }, stdio: ["ignore", "pipe", "pipe"] })
  children.push(child)
  const output = { stdout: "", stderr: "" }
  child.stdout.on("data", (chunk) => (output.stdout += String(chunk)))
  child.stderr.on("data", (chunk) => (output.stderr += String(chunk)))
  const ended = new Promise<number | string>((resolve) => child.on("close", (code, signal) => resolve(code ?? signal ?? "?")))
  return { child, output, ended }
}

async function until(condition: () => boolean, what: () => string): Promise<void> {
  const limit = performance.now() + 15_000
  while (!condition()) {
    if (performance.now() > limit) throw new Error(`waited too long: ${what()}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

it("is built and says its version", async () => {
  const { output, ended } = meshwork(["--version"])
  expect([await ended, output.stderr]).toEqual([0, ""])
  expect(output.stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
})

it("a reader that has seen enough ends it silently", async () => {
  const { child, output, ended } = meshwork(["discovery", "--help"])
  child.stdout.destroy()
  expect([await ended, output.stderr]).toEqual([0, ""])
})

it("a discovery server runs until a signal, however often it comes", async () => {
  const { child, output, ended } = meshwork(["discovery", "--storage", "memory"], { MESHWORK_DISCOVERY_PORT: "0" })
  await until(
    () => /http:\/\/127\.0\.0\.1:\d+/.test(output.stderr),
    () => output.stderr,
  )
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(output.stderr)?.[0] ?? ""
  expect((await fetch(`${url}/ready`)).status).toBe(200)
  child.kill("SIGINT")
  child.kill("SIGTERM")
  child.kill("SIGINT")
  expect([await ended, output.stdout]).toEqual([0, ""])
})

it("a taken port is named together with the option, without a stack trace", async () => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve))
  const { port } = taken.address() as AddressInfo
  const { output, ended } = meshwork(["discovery", "--storage", "memory", "--port", String(port)])
  expect(await ended).toBe(1)
  expect(output.stderr).toContain(`port ${port} on 127.0.0.1 is taken: choose another one with --port`)
  expect(output.stderr).not.toMatch(/^\s+at /m)
  await new Promise((resolve) => taken.close(resolve))
})
