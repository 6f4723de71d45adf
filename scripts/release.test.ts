import { execFileSync } from "node:child_process"
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { expect, it, onTestFinished } from "vitest"

const root = join(import.meta.dirname, "..")

interface Manifest {
  name: string
  version: string
  private?: boolean
}

it("a change of one package raises the version of all, and says so in its changelog", () => {
  const copy = mkdtempSync(join(tmpdir(), "meshwork-release-"))
  onTestFinished(() => rmSync(copy, { recursive: true }))
  const manifests = globSync(["{packages,apps,examples}/*/package.json", "packages/storage/*/package.json"], { cwd: root })
  for (const file of ["package.json", "pnpm-workspace.yaml", "pnpm-lock.yaml", ".changeset/config.json", ...manifests]) {
    mkdirSync(dirname(join(copy, file)), { recursive: true })
    cpSync(join(root, file), join(copy, file))
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"))
  writeFileSync(join(copy, ".changeset/one.md"), '---\n"@meshwork/config": minor\n---\n\nRead one more spelling\n')
  const git = (...args: string[]) => execFileSync("git", ["-c", "user.name=test", "-c", "user.email=test@localhost", ...args], { cwd: copy })
  git("init", "-q", "-b", "main")
  git("add", ".changeset", "packages")
  git("commit", "-q", "-m", "Begin")
  execFileSync(process.execPath, [join(root, "node_modules/@changesets/cli/bin.js"), "version"], { cwd: copy })

  const read = (folder: string) => manifests.map((file) => JSON.parse(readFileSync(join(folder, file), "utf8")) as Manifest)
  const [before, after] = [read(root), read(copy)]
  const [major, minor] = (before.find(({ name }) => name === "@meshwork/config")?.version ?? "").split(".")
  for (const [index, { name, version, private: internal }] of after.entries()) {
    expect(version, name).toBe(internal ? before[index]?.version : `${major}.${Number(minor) + 1}.0`)
  }
  expect(readFileSync(join(copy, "packages/config/CHANGELOG.md"), "utf8")).toContain("Read one more spelling")
})
