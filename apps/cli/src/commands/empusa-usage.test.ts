import { createServer as createWebServer } from "node:http"
import { createServer } from "node:net"
import { expect, it, onTestFinished } from "vitest"
import { run } from "../testing/fake-context.ts"

const named = (type: string, name: string, location?: string) =>
  ["--service-type", type, "--service-name", name].concat(location === undefined ? [] : ["--service-location", location])

it.each(["nowhere", "127.0.0.1", "h:0", "h:99999", ":2379", "ftp://h:1", "http://h:1/v3", "[::1", "::1:2379", "h:1,bad"])(
  "the endpoint %j is refused",
  async (endpoint) => {
    const { code, stdout, stderr } = await run(["service", "list", "--tree-root", "/t", "--etcd-endpoint", endpoint])
    expect([code, stdout]).toEqual([2, ""])
    expect(stderr).toContain(`Endpoint ${JSON.stringify(endpoint.split(",").at(-1))} is not in HOST:PORT format`)
  },
)

it.each([
  [["list"], "missing required option '--tree-root' (EMPUSA_TREE_ROOT"],
  [["list", "--tree-root", "/t", "--etcd-protocol", "https", "--ca-bundle", "/nowhere.pem"], "the CA bundle /nowhere.pem does not exist"],
  [["list", "--tree-root", "/t", "--etcd-protocol", "ftp"], "Allowed choices are http, https"],
  [["list", "--server", "http://h:1"], "cannot be used with option"],
  [["register", "--tree-root", "/t", ...named("a/b", "n", "h:1")], '"a/b" is no service'],
  [["register", "--tree-root", "/t", ...named("a", "n/m", "h:1")], '"n/m" is no id'],
  [["register", "--tree-root", "/t", ...named("a", "n")], "missing required option '--service-location'"],
  [["register", "--tree-root", "/t", ...named("a", "n", "h:1"), "--ttl", "5", "--refresh-every", "5"], "--refresh-every 5 must be less than --ttl 5"],
  [["register", "--tree-root", "/t", "--service-name", "n"], "option '--service-type'"],
  [["unregister", "--tree-root", "/t", "--service-type", "t"], "option '--service-name'"],
])("wrong usage %j ends with 2 before etcd is asked", async (args, message) => {
  const { code, stdout, stderr } = await run(["service", ...args, "--etcd-endpoint", "127.0.0.1:1"])
  expect([code, stdout]).toEqual([2, ""])
  expect(stderr).toContain(message)
})

it("a CA bundle that others use is not read where nothing is encrypted", async () => {
  const env = { REQUESTS_CA_BUNDLE: "/nowhere.pem" }
  const list = (endpoint: string) => run(["service", "list", "--tree-root", "/t", "--etcd-endpoint", endpoint], { env })
  expect(await list("127.0.0.1:1")).toMatchObject({ code: 1, stderr: "meshwork: no etcd at 127.0.0.1:1: ECONNREFUSED\n" })
  expect(await list("127.0.0.1:1,https://127.0.0.1:1")).toMatchObject({ code: 2, stderr: expect.stringContaining("/nowhere.pem does not exist") })
})

it("two variables that name different places are refused; an option decides", async () => {
  const env = { MESHWORK_SERVER: "http://127.0.0.1:1", EMPUSA_ETCD_ENDPOINT: "127.0.0.1:2", EMPUSA_TREE_ROOT: "/t" }
  expect(await run(["service", "list"], { env })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("choose with --server or --etcd-endpoint"),
  })
  expect((await run(["service", "list", "--server", "http://127.0.0.1:1"], { env })).stderr).toContain("no discovery server at http://127.0.0.1:1")
  expect((await run(["service", "list", "--etcd-endpoint", "127.0.0.1:2"], { env })).stderr).toContain("no etcd at 127.0.0.1:2")
})

const everyCommand = [
  { args: ["list"] },
  { args: ["get", "t", "n"] },
  { args: ["watch"] },
  { args: ["drain", "t", "n"] },
  { args: ["weight", "t", "n", "5"] },
  { args: ["unregister", "t", "n"] },
  { args: ["register", ...named("t", "n", "h:1")] },
  { args: ["register", ...named("t", "n", "h:1"), "--ttl", "9", "--refresh-every", "2"] },
]

it.each(everyCommand)("$args: an etcd that is down is named in one line, with every endpoint", async ({ args }) => {
  const stderr = "meshwork: no etcd at 127.0.0.1:1: ECONNREFUSED; [::1]:1: ECONNREFUSED\n"
  const result = await run(["service", ...args, "--tree-root", "/t", "--etcd-endpoint", "127.0.0.1:1", "--etcd-endpoint", "[::1]:1"])
  expect([result.code, result.stdout]).toEqual([1, ""])
  expect(result.stderr.replace("EADDRNOTAVAIL", "ECONNREFUSED")).toBe(stderr)
})

it.each(everyCommand)("$args: a server of another kind is told apart in one line", async ({ args }) => {
  const web = createWebServer((_, response) => response.setHeader("content-type", "text/html").end("<h1>hello</h1>"))
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => void web.close())
  const { port } = web.address() as { port: number }
  const result = await run(["service", ...args, "--tree-root", "/t", "--etcd-endpoint", `127.0.0.1:${port}`])
  expect(result).toEqual({
    code: 1,
    stdout: "",
    stderr: `meshwork: 127.0.0.1:${port} is not an etcd with the v3 API: it answered 200 with something else\n`,
  })
})

it("an etcd that is silent is given up within 5 s", async () => {
  const silent = createServer(() => {})
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => void silent.close())
  const { port } = silent.address() as { port: number }
  const begun = performance.now()
  const { code, stderr } = await run(["service", "list", "--tree-root", "/t", "--etcd-endpoint", `127.0.0.1:${port}`])
  expect([code, stderr]).toEqual([1, `meshwork: no etcd at 127.0.0.1:${port}: no answer within 5 s\n`])
  expect(performance.now() - begun).toBeLessThan(15_000)
})
