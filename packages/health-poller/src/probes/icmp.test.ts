import { spawnSync } from "node:child_process"
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { checkSchema, systemClock } from "@meshwork/contract"
import { afterEach, beforeEach, expect, it } from "vitest"
import { createProbe, type ProbeResult } from "../probe.ts"

const probe = createProbe({ clock: systemClock, userAgent: "meshwork-health" })
const required = (process.env["MESHWORK_REQUIRE"] ?? "").split(",").includes("ping")
const hasPing = spawnSync("ping", ["-c", "1", "-W", "1", "127.0.0.1"]).status === 0
if (required && !hasPing) throw new Error("the system's ping is required, and does not work here")

let folder = ""
const path = process.env["PATH"] ?? ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "meshwork-ping-"))
})
afterEach(() => {
  process.env["PATH"] = path
  rmSync(folder, { recursive: true })
})

function ask(host = "127.0.0.1", check: object = {}, signal = new AbortController().signal): Promise<ProbeResult> {
  const parsed = checkSchema.parse({ method: "ping", icmp: true, timeoutSeconds: 1, ...check })
  return probe({ host, port: 80, scheme: "http", check: parsed }, signal)
}

/** A `ping` that says and does what the test wants. */
function pretend(script: string): void {
  writeFileSync(join(folder, "ping"), `#!/bin/sh\n${script}\n`)
  chmodSync(join(folder, "ping"), 0o755)
  process.env["PATH"] = `${folder}${delimiter}${path}`
}

it.skipIf(!hasPing).each(["127.0.0.1", "localhost"])("the real ping of %s is answered, and says nothing about the network", async (host) => {
  expect(await ask(host)).toEqual({ outcome: "active", reason: expect.stringMatching(new RegExp(`^ping ${host} was answered in \\d+ ms$`)) })
})

it.skipIf(!hasPing)("the real ping names a host that does not resolve", async () => {
  expect(await ask("no-such-host.invalid")).toMatchObject({ outcome: "unreachable", said: "host could not be resolved" })
})

it.each<[string, string, Partial<ProbeResult>]>([
  ["no reply", "exit 1", { outcome: "inactive", said: "ping got no reply within 1 s", network: "silent" }],
  [
    "another's refusal",
    'echo "From 10.0.0.1 icmp_seq=1 Destination Host Unreachable"; exit 1',
    { outcome: "inactive", said: "Destination Host Unreachable" },
  ],
  ["a reply from afar", 'echo "64 bytes from 10.0.0.7: icmp_seq=1 ttl=64 time=0.1 ms"; exit 0', { outcome: "active", network: "heard" }],
  ["no way there", 'echo "ping: connect: Network is unreachable" >&2; exit 2', { outcome: "unreachable", network: "no-way" }],
  ["no resolver", 'echo "ping: x: Temporary failure in name resolution" >&2; exit 2', { outcome: "unreachable", network: "silent" }],
  ["no permission", 'echo "ping: socket: Operation not permitted" >&2; exit 2', { outcome: "fault", said: expect.stringContaining("not permitted") }],
  ["an option it does not know", 'echo "ping: invalid option" >&2; exit 64', { outcome: "fault", said: expect.stringContaining("invalid option") }],
])("takes %s as what it is", async (_title, script, result) => {
  pretend(script)
  expect(await ask("10.0.0.7")).toMatchObject(result)
})

it("keeps the time limit, and leaves no process behind", async () => {
  pretend(`echo $$ > ${folder}/pid; exec sleep 60`)
  const begin = performance.now()
  expect(await ask("10.0.0.7", { timeoutSeconds: 0.3 })).toMatchObject({ outcome: "inactive", timedOut: true })
  expect(performance.now() - begin).toBeLessThan(10_000)
  const alive = () => spawnSync("sh", ["-c", `kill -0 $(cat ${folder}/pid)`]).status === 0
  await expect.poll(alive).toBe(false)
})

it("ends at once when called off", async () => {
  pretend("exec sleep 60")
  const controller = new AbortController()
  const asked = ask("10.0.0.7", { timeoutSeconds: 60 }, controller.signal)
  controller.abort()
  expect(await asked).toMatchObject({ outcome: "fault" })
})

it("says what to do where there is no ping, and blames nobody else", async () => {
  process.env["PATH"] = folder
  expect(await ask()).toMatchObject({ outcome: "fault", reason: expect.stringMatching(/ENOENT.*install iputils-ping, or give the address a port/) })
})
