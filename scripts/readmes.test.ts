import { spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { connect, createServer, type AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it, onTestFinished } from "vitest"
import { onPorts, readmeExamples } from "./readme-examples.mjs"

const root = join(import.meta.dirname, "..")
const rooms = ["packages", "packages/storage", "apps"]
  .flatMap((parent) => readdirSync(join(root, parent)).map((name) => join(root, parent, name)))
  .filter((room) => existsSync(join(room, "package.json")))
const nameOf = (room: string): string => (JSON.parse(readFileSync(join(room, "package.json"), "utf8")) as { name: string }).name
const packages = rooms.map((room) => ({ room, name: nameOf(room) }))
const readmes = packages.map(({ room, name }) => ({ name, text: readFileSync(join(room, "README.md"), "utf8") }))
const examples = readmes.flatMap(({ name, text }) => readmeExamples(text).map((example, index) => ({ name, number: index + 1, ...example })))
// Its second block is a line of somebody's test file.
const runnable = examples.filter(({ code }) => /^import /m.test(code))

it("every package that is imported shows how", () => {
  const shown = new Set(runnable.map(({ name }) => name))
  expect(packages.map(({ name }) => name).filter((name) => !shown.has(name))).toEqual(["@meshwork/cli"])
})

it.each(runnable)("example $number of $name runs and prints what it promises", async (example) => {
  const project = mkdtempSync(join(tmpdir(), "meshwork-readme-"))
  onTestFinished(() => rmSync(project, { recursive: true, force: true }))
  mkdirSync(join(project, "node_modules/@meshwork"), { recursive: true })
  for (const { room, name } of packages) symlinkSync(room, join(project, "node_modules", name))
  const ports = await freePorts(4)
  const { code, prints } = onPorts(example, ports)
  writeFileSync(join(project, "example.mjs"), code)
  const child = spawn(process.execPath, ["example.mjs"], { cwd: project, env: { ...process.env, DOCKER_HOST: "unix:///nowhere/docker.sock" } })
  onTestFinished(() => void child.kill("SIGKILL"))
  let stdout = ""
  let stderr = ""
  child.stdout.on("data", (chunk) => (stdout += String(chunk)))
  child.stderr.on("data", (chunk) => (stderr += String(chunk)))
  // An example that serves goes on until it is asked to end.
  const closed = new Promise((resolve) => child.on("close", (status, signal) => resolve(status ?? signal)))
  if (prints.length === 0) {
    const used = ports.filter((port) => code.includes(String(port)))
    for (const limit = performance.now() + 15_000; used.length > 0 && performance.now() < limit && child.exitCode === null; await pause(50))
      if ((await Promise.all(used.map(listens))).includes(true)) break
    await Promise.race([closed, pause(4000)])
    child.kill("SIGTERM")
  }
  const ending = await closed
  expect(stderr).not.toMatch(/Error|at file:/)
  expect(ending).toBe(0)
  if (prints.length > 0) expect(stdout.trimEnd().split("\n")).toEqual(prints)
})

it.each([...new Set(readmeCommands())])("`%s` of the command line's README is a command", async (command) => {
  const child = spawn(process.execPath, [join(root, "apps/cli/bin/meshwork.js"), ...command.split(" ").slice(1), "--help"])
  let stdout = ""
  child.stdout.on("data", (chunk) => (stdout += String(chunk)))
  expect(await new Promise((resolve) => child.on("close", resolve))).toBe(0)
  expect(stdout).toContain(`Usage: ${command} `)
})

function readmeCommands(): string[] {
  const text = readmes.find(({ name }) => name === "@meshwork/cli")?.text ?? ""
  return [...text.matchAll(/^(meshwork (?:service )?[a-z]+)/gm)].map(([command]) => command)
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy()
      resolve(true)
    })
    socket.on("error", () => resolve(false))
  })
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"))
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once("listening", resolve))))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
