import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { createDiscoveryApi, type DiscoveryApi } from "@meshwork/client-sdk/discovery"
import { runDiscovery, type RunningDiscovery } from "@meshwork/discovery-server"
import { pino } from "pino"
import { afterAll, beforeAll, expect, it, onTestFinished, test } from "vitest"
import { runCli } from "../program.ts"
import { fakeContext, run } from "../testing/fake-context.ts"

const token = "the-token-of-the-test"
let discovery: RunningDiscovery
let api: DiscoveryApi

beforeAll(async () => {
  discovery = await runDiscovery({ port: 0, storage: "memory", tokens: [{ name: "ops", token }], log: pino({ level: "silent" }) })
  api = createDiscoveryApi({ urls: [discovery.url], token })
  await register("orders", "o1", 9000)
})
afterAll(() => discovery.close())

const register = (service: string, id: string, port: number) =>
  api.call("register", { params: { service, id }, body: { host: "10.0.0.1", port, ttlSeconds: 0 } })
const steer = (...args: string[]) => run([...args, "--server", discovery.url], { env: { MESHWORK_TOKEN: token } })
const instance = async () => (await api.call("getInstance", { params: { service: "orders", id: "o1" } })).body

it("drains an instance, disables it, and takes both back", async () => {
  expect(await steer("service", "drain", "orders", "o1")).toMatchObject({ code: 0, stdout: expect.stringMatching(/^orders\/o1 is draining: /) })
  expect((await instance()).override).toMatchObject({ state: "draining", by: "ops" })
  expect(await steer("service", "drain", "orders", "o1", "--disable")).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^orders\/o1 is out: /),
  })
  const back = await steer("service", "drain", "orders", "o1", "--undo", "--format", "json")
  expect(JSON.parse(back.stdout)).toMatchObject({ id: "o1", standing: "serving" })
})

it("sets a weight and takes it back", async () => {
  expect(await steer("service", "weight", "orders", "o1", "10")).toEqual({ code: 0, stdout: "orders/o1 has weight 10\n", stderr: "" })
  expect((await instance()).weight).toBe(10)
  expect(await steer("service", "weight", "orders", "o1", "--undo")).toEqual({ code: 0, stdout: "orders/o1 has weight 1\n", stderr: "" })
})

test.each([["0"], ["101"], ["x"], ["1.5"], []])("the weight %j is wrong usage", async (...weight: string[]) => {
  expect(await steer("service", "weight", "orders", "o1", ...weight)).toMatchObject({
    code: 2,
    stdout: "",
    stderr: expect.stringContaining("from 1 to 100"),
  })
})

it("without the token says that one is needed, with a wrong one that it is wrong", async () => {
  const without = await run(["service", "drain", "orders", "o1", "--server", discovery.url])
  expect(without).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("Authorization: Bearer") })
  const wrong = await run(["service", "drain", "orders", "o1", "--server", discovery.url], { env: { MESHWORK_TOKEN: "other" } })
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining("not one of this server's") })
  expect(wrong.stderr).not.toContain("other")
})

it("names an instance that is not there", async () => {
  expect(await steer("service", "drain", "orders", "nobody")).toMatchObject({ code: 1, stderr: "meshwork: orders/nobody is not registered\n" })
})

it("shows the journal, newest last, with who and why", async () => {
  await register("journalled", "j1", 1)
  await steer("service", "weight", "journalled", "j1", "5")
  const { code, stdout } = await steer("journal", "--service", "journalled")
  const rows = stdout.trimEnd().split("\n")
  expect(code).toBe(0)
  expect(rows[0]).toMatch(/^TIME +SERVICE +INSTANCE +WHAT +BY +WHY$/)
  expect(rows[1]).toMatch(/journalled +j1 +registered +ops +first registration/)
  expect(rows[2]).toMatch(/journalled +j1 +patched +ops +.*weight/)
  const json = await steer("journal", "--id", "j1", "--limit", "1", "--format", "json")
  expect(JSON.parse(json.stdout)).toMatchObject([{ what: "patched", by: "ops", id: "j1" }])
  expect(await steer("journal", "--service", "nothing")).toMatchObject({ code: 0, stdout: "", stderr: expect.stringContaining("nothing happened") })
  expect(await steer("journal", "--limit", "0")).toMatchObject({ code: 2 })
})

it("follows the journal: what happens from now on, each entry once, also over a restart of the server", async () => {
  const first = await runDiscovery({ port: 0, storage: "memory", log: pino({ level: "silent" }) })
  const own = createDiscoveryApi({ urls: [first.url] })
  const put = (id: string) => own.call("register", { params: { service: "f", id }, body: { host: "h", port: 1, ttlSeconds: 0 } })
  await put("f0")
  await put("f1")
  const context = fakeContext()
  const ended = runCli(["journal", "--follow", "--limit", "1", "--format", "json", "--server", first.url], context)
  const ids = () => context.written.stdout.split("\n").flatMap((line) => (line === "" ? [] : [(JSON.parse(line) as { id: string }).id]))
  await expect.poll(ids).toEqual(["f1"])
  await put("f2")
  await put("f3")
  await expect.poll(ids).toEqual(["f1", "f2", "f3"])
  await first.close()
  await expect.poll(() => context.written.stderr).toMatch(/^meshwork: no discovery server at .*; asking again\n$/)
  const second = await runDiscovery({ port: Number(new URL(first.url).port), storage: "memory", log: pino({ level: "silent" }) })
  await put("f4")
  await expect.poll(ids).toEqual(["f1", "f2", "f3", "f4"])
  context.signal()
  expect(await ended).toBe(0)
  await second.close()
})

async function watching(args: string[], servers = discovery.url) {
  const context = fakeContext()
  const ended = runCli(["service", "watch", ...args, "--server", servers], context)
  onTestFinished(async () => {
    context.signal()
    await ended
  })
  return { context, ended, lines: () => context.written.stdout.trimEnd().split("\n").filter(Boolean) }
}

it("watches a service: what is there, what comes, what changes, what goes and why; Ctrl-C ends it with 0", async () => {
  await register("watched", "w1", 1)
  await register("unwatched", "u1", 1)
  const { context, ended, lines } = await watching(["watched"])
  await expect.poll(lines).toEqual([expect.stringMatching(/^\S+Z present {1}watched\/w1 10\.0\.0\.1:1 serving: /)])
  await register("watched", "w2", 2)
  await expect.poll(() => lines().at(-1)).toMatch(/added {3}watched\/w2 10\.0\.0\.1:2 serving/)
  await steer("service", "drain", "watched", "w2")
  await expect.poll(() => lines().at(-1)).toMatch(/changed watched\/w2 .* draining: /)
  await api.call("deregister", { params: { service: "watched", id: "w2" }, query: {} })
  await expect.poll(() => lines().at(-1)).toMatch(/removed watched\/w2: deregistered/)
  expect(lines()).toHaveLength(4)
  context.signal()
  expect(await ended).toBe(0)
})

it("watches everything as JSON, an object a line", async () => {
  await register("everything", "e1", 1)
  const { lines } = await watching(["--format", "json"])
  await expect.poll(() => lines().map((line) => (JSON.parse(line) as { service: string }).service)).toContain("everything")
  expect(JSON.parse(lines().find((line) => line.includes("everything")) ?? "{}")).toMatchObject({ what: "present", id: "e1", instance: { port: 1 } })
})

it("a watch moves on to the next server, repeats nothing, and says on stderr that it moved", async () => {
  const first = await runDiscovery({ port: 0, storage: "memory", log: pino({ level: "silent" }) })
  const own = createDiscoveryApi({ urls: [first.url] })
  await own.call("register", { params: { service: "moved", id: "m1" }, body: { host: "10.0.0.1", port: 1, ttlSeconds: 0 } })
  const { context, lines } = await watching(["moved"], `${first.url},${discovery.url}`)
  await expect.poll(lines).toHaveLength(1)
  await register("moved", "m2", 2)
  await first.close()
  await expect.poll(() => lines().length).toBe(3)
  expect(lines().slice(1).sort()).toEqual([
    expect.stringMatching(/added {3}moved\/m2/),
    expect.stringMatching(/removed moved\/m1: not listed any more/),
  ])
  expect(context.written.stderr).toContain(`following ${discovery.url}`)
})

it("a watch that nobody answers fails in one line that names the server", async () => {
  expect(await run(["service", "watch", "--server", "http://127.0.0.1:1"])).toEqual({
    code: 1,
    stdout: "",
    stderr: "meshwork: no discovery server at http://127.0.0.1:1: ECONNREFUSED\n",
  })
  const web = createServer((_, response) => response.end("<h1>hello</h1>"))
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => void web.close())
  const other = await run(["service", "watch", "--server", `http://127.0.0.1:${(web.address() as AddressInfo).port}`])
  expect(other).toMatchObject({ code: 1, stdout: "" })
  expect(other.stderr.trimEnd().split("\n")).toHaveLength(1)
})
