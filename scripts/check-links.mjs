// Every relative link of every page of the repository leads to a file that is kept, and to a heading that is there; every page of docs/ can be
// reached from the README. No network.
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync, statSync } from "node:fs"
import { dirname, join, posix } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

/** Text without what is shown as it is: fenced blocks, inline code, comments. Line numbers stay. */
function prose(text) {
  const blank = (match) => match.replace(/[^\n]/g, " ")
  return text
    .replace(/^(\s*)(`{3,}|~{3,})[^\n]*\n[\s\S]*?^\s*\2[`~]*\s*$/gm, blank)
    .replace(/<!--[\s\S]*?-->/g, blank)
    .replace(/(`+)(?!`)[^\n]*?[^`\n]\1(?!`)/g, blank)
}

/** Anchors of a page, as GitHub makes them: of its headings, and those it names itself. */
export function anchorsOf(text) {
  const anchors = new Set()
  const fences = text.replace(/^(\s*)(`{3,}|~{3,})[^\n]*\n[\s\S]*?^\s*\2[`~]*\s*$/gm, "")
  for (const [, heading] of fences.matchAll(/^ {0,3}#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*$/gm)) {
    const words = heading.replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/[*`]|<[^>]*>/g, "")
    const slug = words
      .trim()
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, "")
      .replaceAll(" ", "-")
    let anchor = slug
    for (let count = 1; anchors.has(anchor); count++) anchor = `${slug}-${count}`
    anchors.add(anchor)
  }
  for (const [, id] of fences.matchAll(/<a\s+(?:id|name)="([^"]+)"/g)) anchors.add(id)
  return anchors
}

/** Links of a page with their lines, from 1; those to other hosts left out. */
export function linksOf(text) {
  const shown = prose(text)
  const forms = [
    /!?\[(?:[^\][]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g,
    /^ {0,3}\[[^\]]+\]:\s*<?([^\s>]+)>?/gm,
    /\b(?:href|src)="([^"]+)"/g,
  ]
  return forms
    .flatMap((form) => [...shown.matchAll(form)].map((match) => ({ target: match[1], line: shown.slice(0, match.index).split("\n").length })))
    .filter(({ target }) => !/^(?:[a-z][a-z0-9+.-]*:|\/\/)/i.test(target))
    .toSorted((a, b) => a.line - b.line)
}

/** What is wrong with the links of these pages, a sentence each. `pages` maps paths from the root to texts; `exists` answers for every other path. */
export function checkLinks(pages, exists) {
  const problems = []
  const anchors = new Map([...pages].map(([page, text]) => [page, anchorsOf(text)]))
  const reached = new Set()
  const follow = (page) => {
    if (reached.has(page)) return
    reached.add(page)
    for (const { target } of linksOf(pages.get(page))) {
      const { path } = resolve(page, target)
      if (pages.has(path)) follow(path)
    }
  }
  for (const [page, text] of pages) {
    for (const { target, line } of linksOf(text)) {
      const { path, anchor } = resolve(page, target)
      const place = `${page}:${line}: ${target}`
      if (path === undefined || !(pages.has(path) || exists(path))) problems.push(`${place} leads nowhere`)
      else if (anchor !== "" && pages.has(path) && !anchors.get(path).has(anchor)) problems.push(`${place}: ${path} has no such heading`)
    }
  }
  if (pages.has("README.md")) follow("README.md")
  for (const page of pages.keys()) if (page.startsWith("docs/") && !reached.has(page)) problems.push(`${page}: no link leads here from the README`)
  return problems
}

function resolve(page, target) {
  const [address, anchor = ""] = target.split("#", 2)
  try {
    const wanted = decodeURIComponent(address)
    const path = wanted === "" ? page : wanted.startsWith("/") ? posix.normalize(wanted.slice(1)) : posix.join(posix.dirname(page), wanted)
    return { path: path.replace(/\/$/, ""), anchor: decodeURIComponent(anchor).toLowerCase() }
  } catch {
    return { path: undefined, anchor }
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const root = join(dirname(fileURLToPath(import.meta.url)), "..")
  const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  })
  const kept = new Set(listed.split("\n").filter((path) => path !== "" && existsSync(join(root, path))))
  const pages = new Map([...kept].filter((path) => path.endsWith(".md")).map((path) => [path, readFileSync(join(root, path), "utf8")]))
  const exists = (path) => kept.has(path) || path === "." || (existsSync(join(root, path)) && statSync(join(root, path)).isDirectory())
  const problems = checkLinks(pages, exists)
  for (const problem of problems) process.stdout.write(`${problem}\n`)
  process.stdout.write(`links: ${pages.size} pages, ${problems.length} problem${problems.length === 1 ? "" : "s"}\n`)
  process.exitCode = problems.length === 0 ? 0 : 1
}
