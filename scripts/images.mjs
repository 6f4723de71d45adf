// `npm run images`: lays out what `pnpm deploy` makes of each app, and builds the images meshwork/APP of it.
//   npm run images -- --local        on a base made of this machine's Node, with etcd and Prometheus from its packages, without any registry
//   npm run images -- --layout       lays out only, for `docker compose build` or another builder
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { spawnSync } from "node:child_process"

const root = join(import.meta.dirname, "..")
const out = join(root, "docker/out")
/** What is laid out of which package, and the apps whose images hold it. */
const trees = [
  { tree: "meshwork", name: "@meshwork/cli", apps: ["discovery", "gateway", "cli"] },
  { tree: "shop", name: "@meshwork/example-shop", apps: ["orders", "payment"] },
]

/** Fills docker/out: the roots of the images, beside what the base brings. */
export function layOut() {
  rmSync(out, { recursive: true, force: true })
  for (const { tree, name } of trees) {
    for (const folder of ["data", "run/meshwork"]) {
      mkdirSync(join(out, tree, folder), { recursive: true })
      // Whoever the container runs as.
      chmodSync(join(out, tree, folder), 0o1777)
    }
    const app = join(out, tree, "app")
    const flags = ["--config.inject-workspace-packages=true", "--filter", name, "--prod", "--prefer-offline", "deploy", app]
    command(join(root, "node_modules/.bin/pnpm"), flags, "ignore")
    // It names folders of this machine.
    rmSync(join(app, "pnpm-lock.yaml"))
    cpSync(join(root, "docker/image"), join(app, "image"), { recursive: true })
  }
}

/** Builds the image of every app; `engine` says which Docker gets them. */
export function buildImages({ base = "node:24-slim", tags = ["latest"], engine = process.env } = {}) {
  const nothing = mkdtempSync(join(tmpdir(), "meshwork-images-"))
  for (const { tree, apps } of trees) {
    for (const [index, app] of apps.entries()) {
      const names = tags.flatMap((tag) => ["-t", `meshwork/${app}:${tag}`])
      // The others of a tree add nothing to the first one but which app they are: nothing is sent and stored again.
      const [from, context] = index === 0 ? [base, join(out, tree)] : [`meshwork/${apps[0]}:${tags[0]}`, nothing]
      const words = [
        "build",
        "-q",
        "-f",
        join(root, "docker/Dockerfile"),
        "--build-arg",
        `APP=${app}`,
        "--build-arg",
        `BASE=${from}`,
        ...names,
        context,
      ]
      command("docker", words, "ignore", engine)
      process.stdout.write(`meshwork/${app}:${tags.join(", ")}\n`)
    }
  }
  rmSync(nothing, { recursive: true })
}

/** Makes the base, etcd and Prometheus out of what is installed here. */
export function makeLocalImages(engine = process.env) {
  for (const words of [["meshwork-base:local"], ["meshwork-etcd:local", "etcd", "etcdctl"], ["meshwork-prometheus:local", "prometheus"]]) {
    command(join(root, "docker/base-image.sh"), words, "inherit", { ...engine, NODE: process.execPath })
  }
}

function command(program, args, stdout, env = process.env) {
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: ["ignore", stdout, "inherit"], env })
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} failed: ${error?.message ?? `exit code ${status}`}`)
}

if (process.argv[1] === import.meta.filename) {
  const options = { local: { type: "boolean" }, layout: { type: "boolean" }, base: { type: "string" }, tag: { type: "string" } }
  const { values } = parseArgs({ options })
  const { version } = JSON.parse(readFileSync(join(root, "apps/cli/package.json"), "utf8"))
  layOut()
  if (!values.layout) {
    if (values.local) makeLocalImages()
    const base = values.base ?? (values.local ? "meshwork-base:local" : undefined)
    buildImages({ tags: values.tag ? [values.tag] : ["latest", version], ...(base === undefined ? {} : { base }) })
  }
}
