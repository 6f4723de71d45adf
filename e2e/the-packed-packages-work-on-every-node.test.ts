import { execFile } from "node:child_process"
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { expect, it } from "vitest"
import { onPorts, readmeExamples } from "../scripts/readme-examples.mjs"
import { eventually } from "./support/eventually.ts"
import { getOk } from "./support/mesh.ts"
import { freePorts, launch, root, scratchFolder } from "./support/programs.ts"

const run = promisify(execFile)
/** The npm package that is Node for this machine. */
const runtime = `node-linux-${process.arch}`
const folders = ["packages", "packages/storage", "apps"].flatMap((parent) =>
  readdirSync(join(root, parent), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(root, parent, entry.name)),
)

interface Manifest {
  name: string
  version: string
  private?: boolean
  exports?: Record<string, unknown>
}

/** Every package that is published, with its folder. */
const published = folders.flatMap((folder) => {
  try {
    const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest
    return manifest.private ? [] : [{ folder, manifest }]
  } catch {
    return []
  }
})

it("every package, packed, installs into an empty project and works on Node 22, 24 and 26", { timeout: 300_000 }, async () => {
  const project = scratchFolder()
  const tarballs: Record<string, string> = {}
  for (const { folder, manifest } of published) {
    const { stdout } = await run(join(root, "node_modules/.bin/pnpm"), ["pack", "--pack-destination", project, "--json"], { cwd: folder })
    const { filename } = JSON.parse(stdout.slice(stdout.indexOf("{"))) as { filename: string }
    tarballs[manifest.name] = `file:${filename}`
  }
  const tools = {
    "prom-client": "^15.1.3",
    "node-22": `npm:${runtime}@22`,
    "node-24": `npm:${runtime}@24`,
    "node-26": `npm:${runtime}@26`,
  }
  writeFileSync(
    join(project, "package.json"),
    JSON.stringify({ name: "empty", private: true, type: "module", dependencies: { ...tarballs, ...tools }, overrides: tarballs }),
  )
  await run("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts"], { cwd: project, maxBuffer: 2 ** 26 })

  const subpaths = published.flatMap(({ manifest: { name, exports = {} } }) =>
    Object.keys(exports)
      .filter((path) => path !== "./package.json" && !/testing/.test(path))
      .map((path) => name + path.slice(1)),
  )
  expect(subpaths.length).toBeGreaterThan(15)
  writeFileSync(
    join(project, "all.mjs"),
    `${subpaths.map((path) => `if (Object.keys(await import(${JSON.stringify(path)})).length === 0) throw new Error(${JSON.stringify(path)})`).join("\n")}\nconsole.log("all", process.version)\n`,
  )
  // What the READMEs that were shipped say, as a reader would copy it. Those that promise no output are tried in the unit tests.
  const examples = published.flatMap(({ manifest: { name } }) =>
    readmeExamples(readFileSync(join(project, "node_modules", name, "README.md"), "utf8"))
      .filter(({ prints }) => prints.length > 0)
      .map((example, index) => ({ ...example, file: `${name.replace("@meshwork/", "")}-${index}.mjs` })),
  )
  expect(examples.length).toBeGreaterThanOrEqual(10)
  for (const version of [22, 24, 26]) {
    const node = join(project, `node_modules/node-${version}/bin/node`)
    // Nothing is kept from the version before.
    rmSync(join(project, ".meshwork"), { recursive: true, force: true })
    for (const { file, ...example } of examples) {
      const { code, prints } = onPorts(example, await freePorts(4))
      writeFileSync(join(project, file), code)
      const { stdout } = await run(node, [file], { cwd: project, timeout: 30_000 })
      expect(stdout.trimEnd().split("\n"), `${file} on Node ${version}`).toEqual(prints)
    }
    writeFileSync(join(project, "meshwork.yaml"), "services: { a: { instances: [127.0.0.1:1] } }\nroutes: [{ pathPrefix: /, service: a }]\n")
    const meshwork = join(project, "node_modules/@meshwork/cli/bin/meshwork.js")
    expect((await run(node, ["all.mjs"], { cwd: project })).stdout).toMatch(new RegExp(`^all v${version}\\.`))
    expect((await run(node, [meshwork, "--version"], { cwd: project })).stdout.trim()).toBe(published[0]?.manifest.version)
    expect((await run(node, [meshwork, "--help"], { cwd: project })).stdout).toContain("service")
    expect((await run(node, [meshwork, "explain", "/x", "-c", "meshwork.yaml"], { cwd: project })).stdout).toContain("goes to a")
    const [port, admin, discovery] = await freePorts(3)
    const args = ["up", "--port", String(port), "--admin-port", String(admin), "--discovery-port", String(discovery)]
    const up = launch(`meshwork up on Node ${version}`, node, [meshwork, ...args], { cwd: project })
    await eventually("it is up", 20_000, () => getOk(`http://127.0.0.1:${admin}/health`))
    expect((await run(node, [meshwork, "service", "list", "--server", `http://127.0.0.1:${discovery}`], { cwd: project })).stdout).toContain(
      "127.0.0.1:1",
    )
    up.kill("SIGTERM")
    expect(await up.ended).toBe(0)
  }
})
