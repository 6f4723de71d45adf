import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, expect, it } from "vitest"

const root = join(import.meta.dirname, "..")

interface Manifest {
  [key: string]: unknown
  name: string
  version: string
  private?: boolean
  bin?: Record<string, string>
  exports: Record<string, string | { types: string; default: string }>
}

const rooms = ["packages", "packages/storage", "apps"].flatMap((parent) => readdirSync(join(root, parent)).map((name) => `${parent}/${name}`))
const published = rooms
  .filter((room) => existsSync(join(root, room, "package.json")))
  .map((room) => ({ room, manifest: JSON.parse(readFileSync(join(root, room, "package.json"), "utf8")) as Manifest }))
  .filter(({ manifest }) => !manifest.private)

const tarballs = mkdtempSync(join(tmpdir(), "meshwork-pack-"))
afterAll(() => rmSync(tarballs, { recursive: true }))
const filters = published.flatMap(({ manifest }) => ["--filter", manifest.name])
execFileSync(join(root, "node_modules/.bin/pnpm"), ["-r", ...filters, "pack", "--pack-destination", tarballs], { cwd: root, stdio: "pipe" })

it("finds every package", () => {
  expect(published.length).toBeGreaterThanOrEqual(14)
})

it.each(published)("$manifest.name says what it is, where it comes from and where it runs", ({ room, manifest }) => {
  const home = "https://github.com/meshwork/meshwork"
  expect(manifest).toMatchObject({
    version: published[0]?.manifest.version,
    license: "Apache-2.0",
    homepage: `${home}/tree/main/${room}#readme`,
    bugs: `${home}/issues`,
    repository: { type: "git", url: `git+${home}.git`, directory: room },
    type: "module",
    sideEffects: false,
    engines: { node: ">=22.19" },
    publishConfig: { access: "public" },
  })
  expect(manifest["description"]).toMatch(/^[A-Z].{10,}[^.]$/)
  expect((manifest["keywords"] as string[]).length).toBeGreaterThan(3)
  for (const [path, target] of Object.entries(manifest.exports)) {
    if (path === "./package.json") continue
    expect(Object.keys(target), `types come before default in ${path}`).toEqual(["types", "default"])
  }
})

it.each(published)("the tarball of $manifest.name holds licence, README, what its exports lead to, and nothing else", ({ room, manifest }) => {
  const tarball = join(tarballs, `${manifest.name.replace("@", "").replace("/", "-")}-${manifest.version}.tgz`)
  const list = execFileSync("tar", ["-tzf", tarball], { encoding: "utf8" }).trim().split("\n")
  // A build leaves behind what has no source any more; releases are made of clean checkouts.
  const stale = (file: string): boolean => file.startsWith("dist/") && !existsSync(source(room, file.replace(/\.(js\.map|d\.ts)$/, ".js")))
  const files = list.map((file) => file.replace(/^package\//, "")).filter((file) => !stale(file))
  const needed = reachable(room, manifest)
  const extra = files.filter((file) => !needed.has(file.replace(/\.(js\.map|d\.ts)$/, ".js")))
  const entries = ["LICENSE", "README.md", "package.json", ...Object.values(manifest.bin ?? {})]
  expect(extra.sort()).toEqual(entries.sort())
  expect(files.filter((file) => file.endsWith(".js") && file.startsWith("dist/")).sort()).toEqual([...needed].sort())
})

function source(room: string, file: string): string {
  return join(root, room, file.replace("dist/", "src/").replace(/\.js$/, ".ts"))
}

/** Files of dist that importing some export, or running the command, can load. */
function reachable(room: string, manifest: Manifest): Set<string> {
  const queue = Object.values(manifest.exports).flatMap((target) => (typeof target === "string" ? [] : [source(room, target.default)]))
  if (manifest.bin) queue.push(source(room, "dist/main.js"))
  const seen = new Set<string>()
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (seen.has(file)) continue
    seen.add(file)
    for (const [, relative = ""] of readFileSync(file, "utf8").matchAll(/["'](\.{1,2}\/[^"']+\.(?:ts|js))["']/g)) {
      const next = join(dirname(file), relative.replace(/\.js$/, ".ts"))
      if (existsSync(next)) queue.push(next)
    }
  }
  return new Set(
    [...seen].map((file) =>
      file
        .slice(join(root, room).length + 1)
        .replace("src/", "dist/")
        .replace(/\.ts$/, ".js"),
    ),
  )
}
