import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "vitest"
import { run } from "../testing/fake-context.ts"

const has = (shell: string) => spawnSync(shell, ["-c", "exit 0"]).status === 0
let folder = ""
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "meshwork-completion-"))
})
afterAll(() => rmSync(folder, { recursive: true }))

async function script(shell: string): Promise<string> {
  const { code, stdout, stderr } = await run(["completion", shell])
  expect([code, stderr]).toEqual([0, ""])
  const file = join(folder, `meshwork.${shell}`)
  writeFileSync(file, stdout)
  return file
}

/** What bash offers for the last word. */
async function offered(...words: string[]): Promise<string[]> {
  const file = await script("bash")
  const typed = ["meshwork", ...words].map((word) => `'${word}'`).join(" ")
  const code = `source '${file}'; COMP_WORDS=(${typed}); COMP_CWORD=${words.length}; _meshwork; printf '%s\\n' "\${COMPREPLY[@]}"`
  return execFileSync("bash", ["--norc", "-c", code], { encoding: "utf8", cwd: folder }).split("\n").filter(Boolean)
}

it.skipIf(!has("bash"))("bash completes commands, options, and values of options (skipped where there is no bash)", async () => {
  expect(await offered("")).toEqual(expect.arrayContaining(["up", "service", "journal", "completion", "--help"]))
  expect(await offered("se")).toEqual(["service"])
  expect(await offered("service", "w")).toEqual(["watch", "weight"])
  expect(await offered("service", "list", "--et")).toEqual(["--etcd-endpoint", "--etcd-protocol"])
  expect(await offered("service", "list", "--format", "")).toEqual(["table", "json"])
  expect(await offered("service", "list", "--server", "")).toEqual([])
  expect(await offered("service", "list", "--server", "http://h", "--fo")).toEqual(["--format"])
  expect(await offered("check", "--config", "meshwork.b")).toEqual(["meshwork.bash"])
})

it.skipIf(!has("zsh"))("zsh understands its script (skipped where there is no zsh)", async () => {
  execFileSync("zsh", ["-n", await script("zsh")])
})

it.skipIf(!has("fish"))("fish understands its script, and completes with it (skipped where there is no fish)", async () => {
  const file = await script("fish")
  const complete = (line: string) => execFileSync("fish", ["-N", "-c", `source ${file}; complete -C '${line}'`], { encoding: "utf8" })
  expect(complete("meshwork service we")).toMatch(/^weight\t/)
  expect(complete("meshwork service list --form")).toMatch(/^--format\t/)
})

it.each(["zsh", "fish"])("the script for %s names every option of a command", async (shell) => {
  const { stdout } = await run(["completion", shell])
  for (const word of ["etcd-endpoint", "tree-root", "refresh-every", "weight", "journal"]) expect(stdout).toContain(word)
})

it("another shell is wrong usage", async () => {
  expect(await run(["completion", "tcsh"])).toEqual({
    code: 2,
    stdout: "",
    stderr: 'meshwork: there is a script for bash, zsh, fish, not for "tcsh"\n',
  })
})
