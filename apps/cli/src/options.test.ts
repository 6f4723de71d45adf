import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it } from "vitest"
import { parsePort, parseUrls } from "./options.ts"
import { run } from "./testing/fake-context.ts"

it.each([
  ["0", 0],
  ["65535", 65_535],
])("the port %s is accepted", (text, port) => {
  expect(parsePort(text)).toBe(port)
})

it.each(["", "-1", "65536", "80a", "1e3", " 80"])("the port %j is refused", (text) => {
  expect(() => parsePort(text)).toThrow("a port from 1 to 65535")
})

it("takes several URLs, separated by commas or blanks", () => {
  expect(parseUrls("http://a:1/, https://b/mesh/  http://c")).toEqual(["http://a:1", "https://b/mesh", "http://c"])
  for (const text of ["", " , ", "a:1", "ftp://a", "http://"]) expect(() => parseUrls(text)).toThrow("It takes")
})

it.each([
  [["discovery", "--prot", "1"], "Did you mean --port?"],
  [["discovry"], "Did you mean discovery?"],
  [["service", "lst"], "Did you mean list?"],
  [["list"], "unknown command 'list'\n(Did you mean service list?)"],
  [["rolling-restart", "--service", "x"], "Did you mean drill rolling-restart?"],
  [["discovery", "--port", "99999"], "'--port <port>' argument '99999' is invalid. It takes a port from 1 to 65535"],
  [["service", "list", "--format", "xml"], "Allowed choices are table, json"],
  [["service", "get", "orders"], "missing required argument 'id'"],
  [["service", "list", "extra"], "too many arguments"],
  [[], "Usage: meshwork"],
  [["service"], "Usage: meshwork service"],
])("wrong usage %j ends with 2 and says what was expected", async (args, message) => {
  const { code, stdout, stderr } = await run(args)
  expect([code, stdout]).toEqual([2, ""])
  expect(stderr).toContain(message)
})

it.each([
  [{ MESHWORK_DISCOVERY_PORT: "x" }, "the value of the variable MESHWORK_DISCOVERY_PORT for the option '--port <port>' is invalid"],
  [{ MESHWORK_INSECURE: "perhaps" }, "MESHWORK_INSECURE for the option '--insecure' is invalid. It takes 1, true, 0 or false."],
  [{ MESHWORK_CONFIG: "/nowhere.yaml" }, "/nowhere.yaml: does not exist"],
  [{ MESHWORK_STORAGE: "paper:x" }, 'storage "paper" is not known'],
  [{ MESHWORK_STORAGE: "memory", MESHWORK_DISCOVERY_HOST: "0.0.0.0", MESHWORK_INSECURE: "0" }, "say --insecure"],
  [{ MESHWORK_TOKEN_FILE: "/nowhere", MESHWORK_STORAGE: "memory" }, "the token file /nowhere does not exist"],
])("wrong variables %j end with 2", async (env, message) => {
  const { code, stderr } = await run(["discovery"], { env: { ...env } })
  expect(code).toBe(2)
  expect(stderr).toContain(message)
})

it("the command line wins over a variable, and an empty variable is none", async () => {
  const env = { MESHWORK_CONFIG: "/variable.yaml", MESHWORK_FORMAT: "" }
  expect((await run(["check", "-c", "/option.yaml"], { env })).stdout).toBe("/option.yaml: does not exist\n")
  expect((await run(["check"], { env })).stdout).toBe("/variable.yaml: does not exist\n")
  expect((await run(["check"], { env: { MESHWORK_CONFIG: "" } })).stdout).toBe("meshwork.yaml: does not exist\n")
})

it("a token file must hold one token, which is never repeated", async () => {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-token-"))
  try {
    const file = join(folder, "token")
    writeFileSync(file, "two hunter2 words\n")
    const { code, stderr } = await run(["discovery", "--storage", "memory", "--token-file", file])
    expect([code, stderr]).toEqual([2, `meshwork: the token file ${file} must hold one token: text without blanks\n`])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

it("--version and --help are results", async () => {
  const version = await run(["--version"])
  expect(version).toMatchObject({ code: 0, stderr: "" })
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  const help = await run(["discovery", "--help"])
  expect(help.stdout).toContain("[MESHWORK_DISCOVERY_PORT, PORT]")
  expect([help.code, help.stderr]).toEqual([0, ""])
})
