import { spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { createServer, type AddressInfo } from "node:net"
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
  const { code, prints } = onPorts(example, await freePorts(4))
  writeFileSync(join(project, "example.mjs"), code)
  const child = spawn(process.execPath, ["example.mjs"], { cwd: project, env: { ...process.env, DOCKER_HOST: "unix:///nowhere/docker.sock" } })
  onTestFinished(() => void child.kill("SIGKILL"))
  let stdout = ""
  let stderr = ""
  child.stdout.on("data", (chunk) => (stdout += String(chunk)))
  child.stderr.on("data", (chunk) => (stderr += String(chunk)))
  // An example that serves goes on until it is asked to end.
  const asked = prints.length > 0 ? undefined : setTimeout(() => child.kill("SIGTERM"), 4000)
  const ending = await new Promise((resolve) => child.on("close", (status, signal) => resolve(status ?? signal)))
  clearTimeout(asked)
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

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"))
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once("listening", resolve))))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
