import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, it } from "vitest"
import { run } from "../testing/fake-context.ts"

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "meshwork-check-"))
})
afterEach(() => rmSync(folder, { recursive: true }))

function file(text: string): string {
  const path = join(folder, "meshwork.yaml")
  writeFileSync(path, text)
  return path
}

it("prints every error with its line and ends with 2", async () => {
  const path = file("gateway:\n  port: 99999\n  prot: 1\nroutes:\n  - { pathPrefix: api, service: a }\n  - { service: b }\n")
  const { code, stdout, stderr } = await run(["check", "-c", path])
  expect(code).toBe(2)
  expect(stdout.split("\n").map((line) => /^.*?:(\d+):/.exec(line.replace(folder, ""))?.[1])).toEqual(["2", "3", "5", "6", undefined])
  expect(stderr).toBe(`${path}: 4 errors, no warnings\n`)
})

it("prints warnings and ends with 0", async () => {
  const path = file("routes: [{ pathPrefix: /a, service: a }]\nbackends: { b: { docker: { matchLabels: [x=y] } } }\n")
  const { code, stdout, stderr } = await run(["check", "-c", path, "--offline"])
  expect([code, stderr]).toEqual([0, `${path}: no errors, 2 warnings\n`])
  expect(stdout).toContain(`${path}:1:37: routes[0].service: warning: the service "a" is not in this file`)
  expect(stdout).toContain(`${path}:2:13: backends.b: warning: no route leads to this backend`)
})

it("writes the same as JSON", async () => {
  const bad = await run(["check", "-c", file("gateway: { port: x }"), "--format", "json"])
  expect(bad.code).toBe(2)
  expect(JSON.parse(bad.stdout)).toMatchObject({
    valid: false,
    errors: [{ line: 1, column: 18, path: "gateway.port", kind: "value", found: '"x"' }],
    warnings: [],
  })
  expect(bad.stderr).toBe("")
  const good = await run(["check", "-c", file("{}"), "--format", "json"])
  expect([good.code, JSON.parse(good.stdout)]).toMatchObject([0, { valid: true, errors: [], warnings: [] }])
})

it("says what is wrong with the file itself", async () => {
  const { code, stdout } = await run(["check", "-c", folder])
  expect([code, stdout]).toEqual([2, `${folder}: is a directory, not a file\n`])
})
