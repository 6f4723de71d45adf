import { existsSync, readFileSync } from "node:fs"
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { expect, it } from "vitest"
import { checkLinks } from "./check-links.mjs"

const root = join(import.meta.dirname, "..")
const pages = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.md"], { cwd: root, encoding: "utf8" })
  .trim()
  .split("\n")

it("every relative link of every page leads somewhere", () => {
  const texts = new Map(pages.filter((page) => existsSync(join(root, page))).map((page) => [page, readFileSync(join(root, page), "utf8")]))
  expect(checkLinks(texts, (path) => existsSync(join(root, path)))).toEqual([])
})

it.each([
  ["[a](b.md)", "README.md:1: b.md leads nowhere"],
  ["text\n\n![picture](docs/none.svg)", "README.md:3: docs/none.svg leads nowhere"],
  ["[a](docs/page.md#missing)", "README.md:1: docs/page.md#missing: docs/page.md has no such heading"],
  ["[a](#nowhere)", "README.md:1: #nowhere: README.md has no such heading"],
  ["[a][b]\n\n[b]: none.md", "README.md:3: none.md leads nowhere"],
  ['<img src="none.png">', "README.md:1: none.png leads nowhere"],
  ["[a](../outside.md)", "README.md:1: ../outside.md leads nowhere"],
  ["[`code`](none.md)", "README.md:1: none.md leads nowhere"],
  ["[a](%zz)", "README.md:1: %zz leads nowhere"],
])("the page %j has a broken link", (text, problem) => {
  const pages = new Map([
    ["README.md", `${text}\n\n[there](docs/page.md)\n`],
    ["docs/page.md", "# Page\n"],
  ])
  expect(checkLinks(pages, () => false)).toEqual([problem])
})

it.each([
  "[a](docs/page.md#a-heading-with-code--b)",
  "[a](docs/page.md#twice-1)",
  "[a](docs/page.md#named)",
  '[a](https://example.org/none.md) <a href="mailto:a@b">b</a>',
  "[a](docs/)",
  "`[a](none.md)`",
  "```md\n[a](none.md)\n```",
  "<!-- [a](none.md) -->",
])("the page %j has none", (text) => {
  const pages = new Map([
    ["README.md", `${text}\n\n[there](docs/page.md)\n`],
    ["docs/page.md", '# A heading, with `code` & "b"\n## Twice\n## Twice\n<a id="named"></a>\n```sh\n# no heading\n```\n'],
  ])
  expect(checkLinks(pages, (path) => path === "docs")).toEqual([])
})

it("a page of the documentation that no link leads to is told", () => {
  const pages = new Map([
    ["README.md", "[one](docs/one.md)"],
    ["docs/one.md", "[two](two.md)"],
    ["docs/two.md", ""],
    ["docs/lost.md", "[one](one.md)"],
  ])
  expect(checkLinks(pages, () => false)).toEqual(["docs/lost.md: no link leads here from the README"])
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
