import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it, onTestFinished } from "vitest"
import { baseImage, type Dockerd } from "../scripts/dockerd.mjs"
import { dockerReason, engineOfThisFile, readme, serve, untilItAnswers } from "./support/docker.ts"
import { eventually } from "./support/eventually.ts"
import { getOk } from "./support/mesh.ts"
import { freePorts, meshwork, root, scratchFolder } from "./support/programs.ts"

const soonMs = 1500
const engine = engineOfThisFile()

/** Starts a container with these labels of Meshwork's, and waits until it answers by itself. */
async function startLabelled(dockerd: Dockerd, name: string, labels: Readonly<Record<string, string>>, more: readonly string[] = []): Promise<void> {
  const words = Object.entries(labels).flatMap(([label, value]) => ["--label", `meshwork.${label}=${value}`])
  await dockerd.run("run", "-d", "--name", name, "-e", `NAME=${name}`, ...words, "-p", "8000", "--stop-timeout", "2", ...more, baseImage, "-e", serve)
  await untilItAnswers(dockerd, name)
}

const text = async (url: string): Promise<string> => (await fetch(url)).text()

it.skipIf(dockerReason !== undefined)("meshwork gateway --docker: routes come with containers and go with them, without any file", async () => {
  const dockerd = engine()
  const folder = scratchFolder()
  const [port, admin] = await freePorts(2)
  const args = ["gateway", "--port", String(port), "--admin-port", String(admin), "--discovery", "http://127.0.0.1:1", "--docker"]
  const gateway = meshwork("gateway", args, { cwd: folder, env: { DOCKER_HOST: dockerd.host } })
  const url = `http://127.0.0.1:${port}`
  await eventually("the gateway is up", 15_000, () => text(url))
  expect((await fetch(`${url}/api/orders`)).status).toBe(404)

  await startLabelled(dockerd, "orders-1", { service: "orders", path_prefix: "/api/orders", weight: "9", check_path: "/health" })
  await startLabelled(dockerd, "orders-2", { service: "orders", path_prefix: "/api/orders", priority: "low" })
  await startLabelled(dockerd, "odd", { service: "orders", path_prefix: "orders", weight: "many", prot: "8000" })
  await eventually("the route is there", soonMs, async () => expect(await text(`${url}/api/orders/7?a=b`)).toMatch(/^(orders-1|odd)$/))
  expect((await fetch(`${url}/api/ordersXYZ`)).status).toBe(404)
  for (const [kind, label] of [
    ["malformed-label", "meshwork.path_prefix"],
    ["malformed-label", "meshwork.weight"],
    ["unknown-label", "meshwork.prot"],
  ] as const) {
    expect(gateway.stderr()).toMatch(new RegExp(`"level":40.*container odd .*${label.replace(".", "\\.")}.*\\(${kind}\\)`))
  }
  await dockerd.run("stop", "odd")
  await dockerd.run("stop", "orders-1")
  await eventually("the last choice answers", soonMs, async () => expect(await text(`${url}/api/orders`)).toBe("orders-2"))
  await dockerd.run("rm", "-f", "orders-2")
  await eventually("the route is gone", soonMs, async () => expect((await fetch(`${url}/api/orders`)).status).toBe(404))
  expect(await getOk(`${url.replace(String(port), String(admin))}/routes`)).toMatchObject({ routes: [] })
})

it.skipIf(dockerReason !== undefined)(
  "meshwork discovery --docker: containers are in the registry with weight, state and health, and go with the container",
  async () => {
    const dockerd = engine()
    const folder = scratchFolder()
    const [port, gatewayPort, admin] = await freePorts(3)
    const server = `http://127.0.0.1:${port}`
    const env = { DOCKER_HOST: dockerd.host }
    meshwork("discovery", ["discovery", "--port", String(port), "--storage", "memory", "--docker"], { cwd: folder, env })
    await eventually("discovery is ready", 15_000, () => getOk(`${server}/ready`))
    const file = join(folder, "meshwork.yaml")
    writeFileSync(file, "routes: [{ pathPrefix: /pay, service: payment }]\n")
    meshwork("gateway", ["gateway", "-c", file, "--port", String(gatewayPort), "--admin-port", String(admin), "--discovery", server], { cwd: folder })
    const instances = async () =>
      ((await getOk(`${server}/v1/services/payment/instances`)) as { instances: { tags: object; standing: string; weight?: number; port: number }[] })
        .instances
    const standings = async () =>
      (await instances()).map(({ tags, standing }) => `${(tags as Record<string, string>)["docker.container"]} ${standing}`).toSorted()
    const becomes = (expected: string[], ms = 2 * soonMs) => eventually(expected.join(), ms, async () => expect(await standings()).toEqual(expected))

    await startLabelled(dockerd, "payment-1", { service: "payment", weight: "9", path_prefix: "/other", check_path: "/" })
    await startLabelled(dockerd, "payment-2", { service: "payment" })
    await becomes(["payment-1 serving", "payment-2 serving"], 5000)
    expect((await instances()).find(({ tags }) => (tags as Record<string, string>)["docker.container"] === "payment-1")).toMatchObject({
      host: "127.0.0.1",
      weight: 9,
      origin: "docker",
      ttlSeconds: 0,
      check: { method: "http", path: "/" },
    })
    await eventually("the gateway finds them in the registry", 5000, async () =>
      expect(await text(`http://127.0.0.1:${gatewayPort}/pay`)).toMatch(/^payment-/),
    )
    // Routes come from a gateway's own Docker only.
    expect((await fetch(`http://127.0.0.1:${gatewayPort}/other`)).status).toBe(404)
    await dockerd.run("pause", "payment-2")
    await becomes(["payment-1 serving", "payment-2 out"])
    await dockerd.run("unpause", "payment-2")
    await becomes(["payment-1 serving", "payment-2 serving"])
    await dockerd.run("stop", "payment-1")
    await becomes(["payment-2 serving"])
    await dockerd.run("start", "payment-1")
    await becomes(["payment-1 serving", "payment-2 serving"], 5000)
    await dockerd.run("rm", "-f", "payment-1", "payment-2")
    await becomes([])
  },
)

it.skipIf(dockerReason !== undefined)("a gateway in a container calls those of its network at their own addresses, published or not", async () => {
  const dockerd = engine()
  const file = join(scratchFolder(), "config.yml")
  writeFileSync(file, readme)
  await dockerd.run("network", "create", "shop")
  onTestFinished(() =>
    dockerd.run("network", "rm", "shop").then(
      () => {},
      () => {},
    ),
  )
  const labelled = (name: string) => [
    "--network",
    "shop",
    "--label",
    `app_name=${name}`,
    "--label",
    "env=production",
    "-e",
    `NAME=${name}`,
    baseImage,
    "-e",
    serve,
  ]
  await dockerd.run("run", "-d", "--expose", "8000", ...labelled("payment"))
  await dockerd.run("run", "-d", "-p", "8000", ...labelled("orders"))
  const mounts = [
    "-v",
    `${root}:/app:ro`,
    "-v",
    `${dockerd.folder}:/docker`,
    "-v",
    `${file}:/config.yml:ro`,
    "-e",
    "DOCKER_HOST=unix:///docker/docker.sock",
  ]
  const [port] = await freePorts(1)
  // The host name is the id of the container only where nobody chooses one.
  const own = ["--name", "gateway", "--network", "shop", "--hostname", "front", "-p", `127.0.0.1:${port}:8080`, "--workdir", "/tmp"]
  const command = ["/app/apps/cli/bin/meshwork.js", "gateway", "--host", "0.0.0.0", "--config", "/config.yml"]
  await dockerd.run("run", "-d", ...own, ...mounts, baseImage, ...command)
  for (const name of ["payment", "orders"]) {
    await eventually(`${name} answers`, 15_000, async () => expect(await text(`http://127.0.0.1:${port}/api/${name}`)).toBe(name))
  }
})
