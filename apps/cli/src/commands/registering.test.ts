import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { runDiscovery, type RunningDiscovery } from "@meshwork/discovery-server"
import { pino } from "pino"
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest"
import { runCli } from "../program.ts"
import { fakeContext, run } from "../testing/fake-context.ts"
import { until } from "../testing/spawn-meshwork.ts"

const env = { MESHWORK_TOKEN: "s3cret" }
let discovery: RunningDiscovery
let folder = ""

beforeAll(async () => {
  discovery = await runDiscovery({ port: 0, storage: "memory", tokens: [{ name: "deploy", token: "s3cret" }], log: pino({ level: "silent" }) })
  folder = mkdtempSync(join(tmpdir(), "meshwork-registering-"))
})
afterAll(async () => {
  await discovery.close()
  rmSync(folder, { recursive: true })
})

const at = (...args: string[]) => run([...args, "--server", discovery.url], { env })
const instances = async (service: string) =>
  JSON.parse((await at("service", "list", "--service", service, "--format", "json")).stdout) as { id: string }[]
const register = (service: string, name: string, location: string, ...more: string[]) =>
  at("service", "register", "--service-type", service, "--service-name", name, "--service-location", location, ...more)

/** Starts a registration that stays, in this process. */
function staying(service: string, ...more: string[]) {
  const context = fakeContext({ env })
  const named = ["--service-type", service, "--service-name", "n1", "--service-location", "h:1", "--server", discovery.url]
  const ended = runCli(["service", "register", ...named, ...more], context)
  onTestFinished(() => context.signal())
  return { context, ended }
}

it("registers, replaces and unregisters at a discovery server", async () => {
  expect(await register("reg", "r1", "10.0.0.1:9000")).toEqual({ code: 0, stdout: "", stderr: "service r1 (reg) registered\n" })
  expect(await instances("reg")).toMatchObject([{ id: "r1", host: "10.0.0.1", port: 9000, ttlSeconds: 0 }])
  await register("reg", "r1", "[::1]:9001", "--ttl", "60")
  expect(await instances("reg")).toMatchObject([{ id: "r1", host: "::1", port: 9001, ttlSeconds: 60 }])
  const json = await register("reg", "r1", "10.0.0.1:9000", "--format", "json")
  expect(JSON.parse(json.stdout)).toMatchObject({ service: "reg", id: "r1", standing: "serving" })

  const gone = await at("service", "unregister", "--service-type", "reg", "--service-name", "r1")
  expect(gone).toEqual({ code: 0, stdout: "", stderr: "service r1 (reg) unregistered\n" })
  const again = await at("service", "unregister", "reg", "r1", "--format", "json")
  expect([again.code, JSON.parse(again.stdout)]).toEqual([0, { service: "reg", id: "r1", found: false }])
  expect(again.stderr).toBe("service r1 (reg) was not registered\n")
})

it("takes type, name, location and ttl from Empusa's variables", async () => {
  const named = { EMPUSA_SERVICE_TYPE: "envy", EMPUSA_SERVICE_NAME: "e1", EMPUSA_SERVICE_LOCATION: "h:1", EMPUSA_SERVICE_TTL: "30" }
  const made = await run(["service", "register", "--server", discovery.url], { env: { ...env, ...named } })
  expect(made.stderr).toBe("service e1 (envy) registered\n")
  expect(await instances("envy")).toMatchObject([{ id: "e1", host: "h", port: 1, ttlSeconds: 30 }])
  const steer = (...args: string[]) => run(["service", ...args, "--server", discovery.url], { env: { ...env, ...named } })
  expect((await steer("get")).stdout).toMatch(/^service +envy\nid +e1\n/)
  expect((await steer("drain")).stdout).toMatch(/^envy\/e1 is draining: /)
  expect((await steer("weight", "7")).stdout).toBe("envy/e1 has weight 7\n")
  expect((await steer("weight", "--reset")).stdout).toBe("envy/e1 has weight 1\n")
})

it("keeps a registration up until a signal, and puts it back when somebody removed it", async () => {
  const { context, ended } = staying("kept", "--ttl", "10", "--refresh-every", "1")
  const registered = () =>
    until(
      async () => (await instances("kept")).length === 1,
      () => context.written.stderr,
    )
  await registered()
  await at("service", "unregister", "kept", "n1")
  await registered()
  context.signal()
  expect([await ended, await instances("kept")]).toEqual([0, []])
  expect(context.written.stderr).toBe("service n1 (kept) registered\nservice n1 (kept) unregistered\n")
})

it("leaves a kept registration to its ttl where that is asked for", async () => {
  const { context, ended } = staying("left", "--refresh-every", "5", "--keep")
  await until(
    () => context.written.stderr !== "",
    () => "nothing was said",
  )
  context.signal()
  expect([await ended, (await instances("left")).length]).toEqual([0, 1])
})

const named = ["--service-type", "t", "--service-name", "n", "--service-location", "h:1"]

it.each([
  [["register", ...named.slice(2)], "missing required option '--service-type' (EMPUSA_SERVICE_TYPE)"],
  [["register", ...named.slice(0, 2)], "'--service-name' (EMPUSA_SERVICE_NAME)"],
  [["register", ...named.slice(0, 4)], "missing required option '--service-location' (EMPUSA_SERVICE_LOCATION)"],
  [["register", ...named.slice(0, 4), "--service-location", "nowhere"], 'the location "nowhere" is not in HOST:PORT format'],
  [["register", ...named, "--ttl", "-1"], "It takes a number from 0 to 86400"],
  [["register", ...named, "--ttl", "10", "--refresh-every", "10"], "--refresh-every 10 must be less than --ttl 10"],
  [["register", ...named, "--ttl", "2"], "a discovery server takes a ttl of 3 seconds or more"],
  [["register", ...named, "--keep"], "--keep goes with --refresh-every"],
  [["register", "--service-type", "a/b", ...named.slice(2)], '"a/b" is no service: must be printable ASCII without'],
  [["unregister", "t"], "missing required argument 'id'"],
  [["drain"], "missing required argument 'service'"],
  [["drain", "t", "a b"], '"a b" is no id'],
  [["weight", "t", "n", "5", "--reset"], "leave the number out"],
  [["watch", "a", "b/c"], '"b/c" is no service'],
  [["drain", "t", "n", "--token", "a", "--token-file", "b"], "'--token <token>' cannot be used with option '--token-file <file>'"],
  [["drain", "t", "n", "--token", "a b"], "the token of --token or MESHWORK_TOKEN must be text without blanks"],
  [["drain", "t", "n", "--token-file", "/nowhere"], "the token file /nowhere does not exist"],
])("wrong usage of service %j ends with 2 and says why", async (args, message) => {
  const { code, stdout, stderr } = await run(["service", ...args, "--server", "http://127.0.0.1:1"])
  expect([code, stdout]).toEqual([2, ""])
  expect(stderr).toContain(message)
  expect(stderr).not.toMatch(/^\s+at /m)
})

it("the token comes from an option, a file or a variable; a wrong one is refused in one line", async () => {
  const file = join(folder, "token")
  writeFileSync(file, "s3cret\n")
  await register("guarded", "g", "h:1")
  const drain = (more: string[], variables: Record<string, string> = {}) =>
    run(["service", "drain", "guarded", "g", "--server", discovery.url, ...more], { env: variables })
  expect((await drain(["--token", "s3cret"])).code).toBe(0)
  expect((await drain(["--token-file", file], { MESHWORK_TOKEN: "wrong" })).code).toBe(0)
  expect((await drain([], { MESHWORK_TOKEN_FILE: file })).code).toBe(0)
  const address = ["--service-type", "guarded", "--service-name", "g"]
  const changes = [
    ["drain", "guarded", "g"],
    ["weight", "guarded", "g", "5"],
    ["unregister", ...address],
    ["register", ...address, "--service-location", "h:2"],
    ["register", ...address, "--service-location", "h:2", "--ttl", "9", "--refresh-every", "2"],
  ]
  for (const words of changes) {
    for (const more of [[], ["--token", "wrong"]]) {
      const { code, stdout, stderr } = await run(["service", ...words, "--server", discovery.url, ...more])
      expect([code, stdout]).toEqual([1, ""])
      expect(stderr).toMatch(/^meshwork: http\S+ refused: .*; give one with --token-file, --token or MESHWORK_TOKEN\n$/)
    }
  }
})

const everyCommand = [
  ["service", "drain", "t", "n"],
  ["service", "weight", "t", "n", "5"],
  ["service", "unregister", "t", "n"],
  ["service", "register", ...named],
  ["service", "get", "t", "n"],
  ["service", "watch"],
  ["journal"],
].map((args) => ({ args }))

it.each(everyCommand)("$args: a server that is down is named in one line", async ({ args }) => {
  const stderr = "meshwork: no discovery server at http://127.0.0.1:1: ECONNREFUSED\n"
  expect(await run([...args, "--server", "http://127.0.0.1:1"])).toEqual({ code: 1, stdout: "", stderr })
})

it.each(everyCommand)("$args: a server that speaks another protocol is told apart in one line", async ({ args }) => {
  const other = createServer((socket) => socket.on("error", () => {}).end("SSH-2.0-OpenSSH_9.2\r\n"))
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => void other.close())
  const { port } = other.address() as { port: number }
  const { code, stdout, stderr } = await run([...args, "--server", `http://127.0.0.1:${port}`])
  expect([code, stdout]).toEqual([1, ""])
  expect(stderr).toMatch(new RegExp(`^meshwork: .*127\\.0\\.0\\.1:${port}.*\\n$`))
})
