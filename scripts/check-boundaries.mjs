// Holds the imports of every room against the table of who may import whom, and refuses cycles.
import { readdirSync, readFileSync } from "node:fs"
import { join, relative, sep } from "node:path"
import { fileURLToPath } from "node:url"

/** Room -> rooms it may import, by npm name without the scope. One row per room. */
export const allowed = {
  contract: [],
  config: ["contract"],
  "registry-core": ["contract"],
  "health-poller": ["contract"],
  "client-sdk": ["contract"],
  "source-docker": ["contract"],
  "storage-file": ["contract", "registry-core"],
  "storage-sqlite": ["contract", "registry-core"],
  "storage-etcd": ["contract", "registry-core"],
  "storage-dynamodb": ["contract", "registry-core"],
  gateway: ["contract", "client-sdk"],
  "discovery-server": [
    "contract",
    "config",
    "registry-core",
    "storage-file",
    "storage-sqlite",
    "storage-etcd",
    "storage-dynamodb",
    "health-poller",
    "source-docker",
    "client-sdk",
  ],
  "gateway-server": ["contract", "config", "client-sdk", "gateway", "health-poller", "source-docker"],
  cli: ["contract", "config", "client-sdk", "storage-etcd", "discovery-server", "gateway-server"],
  "example-shop": ["client-sdk"],
}

/** External packages that belong to certain rooms only. */
export const owners = {
  zod: ["contract", "config", "client-sdk", "discovery-server"],
  undici: ["client-sdk", "gateway", "health-poller"],
  fastify: ["discovery-server", "gateway-server", "example-shop"],
  pino: ["discovery-server", "gateway-server", "cli"],
  commander: ["cli"],
  yaml: ["config"],
  dockerode: ["source-docker"],
  etcd3: ["storage-etcd"],
  "node:sqlite": ["storage-sqlite", "gateway-server"],
  "@aws-sdk/client-dynamodb": ["storage-dynamodb"],
}

const importPattern =
  /(?:^|\n)\s*(?:import|export)\s[^;'"]*?from\s+["']([^"']+)["']|import\(\s*["']([^"']+)["']\s*\)|(?:^|\n)\s*import\s+["']([^"']+)["']/g

/** Module names a source text imports. */
export function importsOf(text) {
  return [...text.matchAll(importPattern)].map((match) => match[1] ?? match[2] ?? match[3])
}

/** What is wrong with one file of a room: a list of sentences. */
export function violations(room, file, imports) {
  const test = /\.test(-d)?\.ts$/.test(file) || file.includes(`${sep}testing${sep}`)
  const found = []
  for (const name of imports) {
    const target = /^@meshwork\/([a-z-]+)(\/.*)?$/.exec(name)
    if (target) {
      const [, other, subpath] = target
      if (other !== room && !allowed[room]?.includes(other) && !(test && other === "contract")) found.push(`${file}: ${room} may not import ${name}`)
      if (subpath === "/testing" && !test) found.push(`${file}: ${name} is for tests only`)
      continue
    }
    const bare = name.startsWith("node:")
      ? name
      : name
          .split("/")
          .slice(0, name.startsWith("@") ? 2 : 1)
          .join("/")
    if (owners[bare] && !owners[bare].includes(room) && !test) found.push(`${file}: only ${owners[bare].join(", ")} may import ${bare}`)
  }
  return found
}

/** The first cycle in a graph of rooms, as a list of names; undefined when there is none. */
export function findCycle(graph) {
  const state = new Map()
  const visit = (node, path) => {
    if (state.get(node) === "done") return undefined
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node]
    for (const next of graph[node] ?? []) {
      const cycle = visit(next, [...path, node])
      if (cycle) return cycle
    }
    state.set(node, "done")
    return undefined
  }
  for (const node of Object.keys(graph)) {
    const cycle = visit(node, [])
    if (cycle) return cycle
  }
  return undefined
}

function rooms(root) {
  return ["packages", "packages/storage", "apps", "examples"].flatMap((folder) =>
    readdirSync(join(root, folder), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap((entry) => {
        try {
          const directory = join(root, folder, entry.name)
          return [{ directory, manifest: JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) }]
        } catch (error) {
          if (error.code === "ENOENT") return []
          throw error
        }
      }),
  )
}

function sources(directory) {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name))
}

function main() {
  const root = join(import.meta.dirname, "..")
  const problems = []
  const graph = {}
  let files = 0
  for (const { directory, manifest } of rooms(root)) {
    const room = manifest.name.replace("@meshwork/", "")
    if (!(room in allowed)) problems.push(`${manifest.name} is in no row of scripts/check-boundaries.mjs`)
    const declared = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies }).filter((name) => name.startsWith("@meshwork/"))
    graph[room] = declared.map((name) => name.replace("@meshwork/", ""))
    for (const other of graph[room])
      if (!allowed[room]?.includes(other)) problems.push(`${room} declares a dependency on ${other}, which it may not import`)
    for (const file of sources(join(directory, "src"))) {
      files++
      problems.push(...violations(room, relative(root, file), importsOf(readFileSync(file, "utf8"))))
    }
  }
  const cycle = findCycle(graph)
  if (cycle) problems.push(`cycle: ${cycle.join(" -> ")}`)
  for (const problem of problems) process.stderr.write(`${problem}\n`)
  if (files === 0) problems.push("no source file was found")
  process.stdout.write(`boundaries: ${files} files, ${problems.length} problems\n`)
  process.exitCode = problems.length === 0 ? 0 : 1
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main()
