import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it, onTestFinished } from "vitest"
import { run } from "../testing/fake-context.ts"
import { spawnMeshwork, until } from "../testing/spawn-meshwork.ts"

it("lyft/discovery's variables set up a discovery server", async () => {
  const env = {
    PORT: "0",
    BACKEND_STORAGE: "InMemory",
    HOST_TTL: "3",
    APPLICATION_ENV: "production",
    CACHE_TYPE: "simple",
    CACHE_TTL: "5",
    DEBUG: "no",
  }
  const { child, output, ended } = spawnMeshwork(["discovery"], { ...env, MESHWORK_AUTO_IP_CIDR: "127.0.0.0/8" })
  const listening = () => /"url":"([^"]+)","storage":"memory"/.exec(output.stderr)?.[1]
  await until(
    () => listening() !== undefined,
    () => output.stderr,
  )
  const service = `${listening()}/v1/registration/orders`
  const body = new URLSearchParams({ auto_ip: "1", port: "80", revision: "1", tags: '{"az":"a","instance_id":"i","region":"r"}' })
  expect((await fetch(service, { method: "POST", body })).status).toBe(200)
  const listed = await fetch(service)
  expect(listed.headers.get("cache-control")).toBe("max-age=5")
  expect(await listed.json()).toMatchObject({ env: "production", hosts: [{ ip_address: "127.0.0.1" }] })
  const hosts = async () => ((await (await fetch(service)).json()) as { hosts: unknown[] }).hosts.length
  await until(
    async () => (await hosts()) === 0,
    () => "the host does not expire",
  )
  child.kill("SIGTERM")
  expect(await ended).toBe(0)
})

it("InFile keeps its file below APPLICATION_DIR", async () => {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-in-file-"))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const { child, output, ended } = spawnMeshwork(["discovery"], { PORT: "0", BACKEND_STORAGE: "InFile", APPLICATION_DIR: folder })
  await until(
    () => output.stderr.includes('"storage":"file"'),
    () => output.stderr,
  )
  expect(existsSync(join(folder, ".meshwork/registry.log"))).toBe(true)
  child.kill("SIGTERM")
  expect(await ended).toBe(0)
})

it("LOG_LEVEL sets the level of the log", async () => {
  const port = await freePort()
  const { child, output, ended } = spawnMeshwork(["discovery", "--storage", "memory"], { LOG_LEVEL: "ERROR", PORT: String(port) })
  const answers = () =>
    fetch(`http://127.0.0.1:${port}/healthcheck`).then(
      ({ ok }) => ok,
      () => false,
    )
  await until(answers, () => output.stderr)
  child.kill("SIGTERM")
  expect(await ended).toBe(0)
  expect(output.stderr).toBe("")
})

it("--port and --storage win over the variables", async () => {
  const { child, output, ended } = spawnMeshwork(["discovery", "--port", "0", "--storage", "memory"], { PORT: "1", BACKEND_STORAGE: "DynamoDB" })
  await until(
    () => output.stderr.includes('"storage":"memory"'),
    () => output.stderr,
  )
  child.kill("SIGTERM")
  expect(await ended).toBe(0)
})

it.each([
  [{ HOST_TTL: "0" }, "HOST_TTL: "],
  [{ DEBUG: "perhaps" }, "DEBUG: "],
  [{ BACKEND_STORAGE: "Redis" }, "DynamoDB, InMemory, InFile"],
  [{ BACKEND_STORAGE: "DynamoDB" }, "DYNAMODB_TABLE_HOSTS: "],
  [{ PORT: "http" }, "the value of the variable PORT for the option '--port <port>' is invalid"],
  [{ HOST_TTL: "1", CACHE_TYPE: "redis" }, "; CACHE_TYPE: "],
])("%j ends with 2 and names the variable", async (env, message) => {
  const { code, stdout, stderr } = await run(["discovery"], { env: { ...env } })
  expect([code, stdout]).toEqual([2, ""])
  expect(stderr).toContain(message)
})

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}
