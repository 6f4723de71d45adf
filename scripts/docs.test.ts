import { existsSync, readFileSync } from "node:fs"
import { execFileSync } from "node:child_process"
import { dirname, join } from "node:path"
import { expect, it } from "vitest"

const root = join(import.meta.dirname, "..")
const pages = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.md"], { cwd: root, encoding: "utf8" })
  .trim()
  .split("\n")

it.each(pages)("every relative link of %s leads somewhere", (page) => {
  const text = readFileSync(join(root, page), "utf8").replace(/```[\s\S]*?```/g, "")
  const targets = [...text.matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)].map((match) => match[1] ?? "").filter((target) => !/^[a-z]+:/.test(target))
  const broken = targets.filter((target) => !existsSync(join(root, dirname(page), target)))
  expect(broken).toEqual([])
})

it("every root script is named in CONTRIBUTING or the README", () => {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> }
  const text = readFileSync(join(root, "CONTRIBUTING.md"), "utf8") + readFileSync(join(root, "README.md"), "utf8")
  const missing = Object.keys(manifest.scripts).filter((name) => !new RegExp(`npm (run (-s )?)?${name}\\b`).test(text))
  expect(missing).toEqual([])
})

it.each(pages)("every file that %s shows is the file itself", (page) => {
  const text = readFileSync(join(root, page), "utf8")
  for (const [, file = "", shown] of text.matchAll(/<!-- shows: (\S+) -->\n```\w*\n([\s\S]*?)```/g))
    expect([file, shown]).toEqual([file, readFileSync(join(root, file), "utf8")])
})
