// `npm run images`: lays out what `pnpm deploy` makes of each app, and builds the images meshwork/APP of it.
//   npm run images -- --local        on a base made of this machine's Node, with etcd and Prometheus from its packages, without any registry
//   npm run images -- --layout       lays out only, for `docker compose build` or another builder
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { spawnSync } from "node:child_process"

const root = join(import.meta.dirname, "..")
const out = join(root, "docker/out")
const apps = {
  discovery: "@meshwork/cli",
  gateway: "@meshwork/cli",
  cli: "@meshwork/cli",
  orders: "@meshwork/example-shop",
  payment: "@meshwork/example-shop",
}

/** Fills docker/out: for each app the root of its image, beside what the base brings. */
export function layOut() {
  rmSync(out, { recursive: true, force: true })
  const first = {}
  for (const [app, name] of Object.entries(apps)) {
    const image = join(out, app)
    if (first[name] === undefined) layOutOne(name, (first[name] = image))
    else command("cp", ["-RPp", ...(process.platform === "linux" ? ["-l"] : []), first[name], image], "inherit")
  }
}

function layOutOne(name, image) {
  for (const folder of ["data", "run/meshwork"]) {
    mkdirSync(join(image, folder), { recursive: true })
    // Whoever the container runs as.
    chmodSync(join(image, folder), 0o1777)
  }
  const flags = ["--config.inject-workspace-packages=true", "--filter", name, "--prod", "--offline", "deploy", join(image, "app")]
  command(join(root, "node_modules/.bin/pnpm"), flags, "ignore")
  // It names folders of this machine.
  rmSync(join(image, "app/pnpm-lock.yaml"))
  cpSync(join(root, "docker/image"), join(image, "app/image"), { recursive: true })
}

/** Builds the image of every app; `engine` says which Docker gets them. */
export function buildImages({ base = "node:24-slim", tags = ["latest"], engine = process.env } = {}) {
  for (const app of Object.keys(apps)) {
    const values = ["--build-arg", `APP=${app}`, "--build-arg", `BASE=${base}`]
    command(
      "docker",
      ["build", "-q", "-f", "docker/Dockerfile", ...values, ...tags.flatMap((tag) => ["-t", `meshwork/${app}:${tag}`]), join(out, app)],
      "ignore",
      engine,
    )
    process.stdout.write(`meshwork/${app}:${tags.join(", ")}\n`)
  }
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
