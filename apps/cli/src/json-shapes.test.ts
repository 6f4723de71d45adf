import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { runDiscovery, type RunningDiscovery } from "@meshwork/discovery-server"
import { pino } from "pino"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { run } from "./testing/fake-context.ts"
import { hasEtcd, type RealEtcd, startEtcd } from "./testing/real-etcd.ts"

const page = readFileSync(join(import.meta.dirname, "../../../docs/reference/command-line.md"), "utf8")

/** Names of the fields that the reference promises for a command: those that are always there, and those that may be. */
function promised(command: string, place: "server" | "etcd"): { always: string[]; maybe: string[] } {
  const row = page.split("\n").find((line) => line.startsWith(`| \`${command}\``)) ?? ""
  const cells = row.split(" | ")
  const own = place === "server" || cells[2]?.startsWith("the same") ? 1 : 2
  const cell = cells[own]
  const start = cell?.indexOf("{ ") ?? -1
  const names: string[] = []
  let depth = 0
  let word = ""
  for (const character of cell?.slice(start) ?? "") {
    if ("{[".includes(character)) depth++
    if (depth === 1 && (character === "," || character === "}")) {
      const [name = ""] = word.trim().split(":")
      if (name !== "") names.push(name)
      word = ""
    } else if (depth === 1 && character !== "{") word += character
    if ("}]".includes(character) && --depth === 0) break
  }
  expect(names, `${command} in the reference`).not.toEqual([])
  return { always: names.filter((name) => !name.endsWith("?")), maybe: names.filter((name) => name.endsWith("?")).map((name) => name.slice(0, -1)) }
}

function expectShape(value: unknown, { always, maybe }: { always: string[]; maybe: string[] }): void {
  const keys = Object.keys(value as object)
  expect(keys).toEqual(expect.arrayContaining(always))
  expect([...always, ...maybe]).toEqual(expect.arrayContaining(keys))
}

let folder = ""
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "meshwork-shapes-"))
})
afterAll(() => rmSync(folder, { recursive: true }))

const instance = ["--service-type", "t", "--service-name", "n"]
const json = async (args: readonly string[]) => {
  const { code, stdout, stderr } = await run([...args, "--format", "json"])
  expect([code, stderr.includes("meshwork:")]).toEqual([0, false])
  return JSON.parse(stdout) as unknown
}

describe("from a discovery server", () => {
  let discovery: RunningDiscovery
  beforeAll(async () => {
    discovery = await runDiscovery({ port: 0, storage: "memory", log: pino({ level: "silent" }) })
    expect((await run(["service", "register", ...instance, "--service-location", "h:1", "--server", discovery.url])).code).toBe(0)
  })
  afterAll(() => discovery.close())

  it("journal and stats are as the reference says", async () => {
    const [entry] = (await json(["journal", "--server", discovery.url])) as unknown[]
    expectShape(entry, promised("journal", "server"))
    expectShape(await json(["stats", "--server", discovery.url]), promised("stats", "server"))
  })

  it("check is as the reference says, alone and against a mesh", async () => {
    const file = join(folder, "meshwork.yaml")
    writeFileSync(file, 'services: { a: { instances: ["127.0.0.1:1"] } }\nroutes: [{ pathPrefix: /, service: a }]\n')
    const result = (await json(["check", "-c", file])) as { seen: unknown[] }
    expectShape(result, promised("check", "server"))
    expect(result.seen[0]).toEqual({ kind: "no-answer", path: "services.a.instances[0]", name: "a", message: expect.any(String) })
    const against = (await json(["check", "-c", file, "--against", discovery.url])) as { mesh: unknown[] }
    expect(Object.keys(against)).toEqual(["file", "valid", "errors", "warnings", "seen", "against", "mesh"])
    expect(against.mesh[0]).toEqual({ kind: expect.any(String), path: expect.any(String), service: expect.any(String), message: expect.any(String) })
  })

  it("unregister is as the reference says", async () => {
    expectShape(await json(["service", "unregister", ...instance, "--server", discovery.url]), promised("service unregister", "server"))
  })
})

describe.skipIf(!hasEtcd())("from etcd", () => {
  let etcd: RealEtcd
  beforeAll(async () => {
    etcd = await startEtcd()
  })
  afterAll(() => etcd.remove())

  it("services are as the reference says", async () => {
    const place = ["--etcd-endpoint", etcd.endpoint, "--tree-root", "/t"]
    const registered = await json(["service", "register", ...instance, "--service-location", "h:1", "--ttl", "60", ...place])
    expectShape(registered, promised("service register", "etcd"))
    const [listed] = (await json(["service", "list", ...place])) as unknown[]
    expectShape(listed, promised("service list", "etcd"))
    expectShape(await json(["service", "get", ...instance, ...place]), promised("service get", "etcd"))
    await json(["service", "weight", ...instance, "5", ...place])
    const weighed = await json(["service", "get", ...instance, ...place])
    expectShape(weighed, promised("service get", "etcd"))
    expect(Object.keys(weighed as object)).toContain("record")
    expectShape(await json(["service", "unregister", ...instance, ...place]), promised("service unregister", "etcd"))
  })
})
