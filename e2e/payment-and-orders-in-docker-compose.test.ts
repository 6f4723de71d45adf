import { spawn, spawnSync } from "node:child_process"
import { cpSync } from "node:fs"
import { join } from "node:path"
import { expect, it, onTestFinished } from "vitest"
import { baseImage } from "../scripts/dockerd.mjs"
import { dockerReason, engineOfThisFile } from "./support/docker.ts"
import { eventually } from "./support/eventually.ts"
import { sendGets } from "./support/load.ts"
import { getOk } from "./support/mesh.ts"
import { freePorts, meshwork, root, scratchFolder } from "./support/programs.ts"

/** 1.29 is a command of its own, v2 a part of Docker's. */
const composeCommand = [["docker-compose"], ["docker", "compose"]].find(
  ([command = "", ...words]) => spawnSync(command, [...words, "version"]).status === 0,
)
const missing = dockerReason ?? (composeCommand === undefined ? "docker compose is not installed" : undefined)
if (missing !== undefined && process.env["MESHWORK_REQUIRE"]?.split(",").includes("docker")) throw new Error(missing)
const soonMs = 1500
const engine = engineOfThisFile()

it.skipIf(missing !== undefined)(
  "the guide's compose file behind rgate's config.yml: scaled up and down, sick and well, and no GET fails",
  async () => {
    const dockerd = engine()
    const folder = scratchFolder()
    cpSync(join(root, "examples/payment-and-orders"), folder, { recursive: true })
    const compose = (...words: string[]) =>
      new Promise<void>((resolve, reject) => {
        const env = { ...process.env, DOCKER_HOST: dockerd.host, IMAGE: baseImage, COMPOSE_PROJECT_NAME: "shop" }
        const [program = "", ...first] = composeCommand ?? []
        const command = spawn(program, [...first, ...words], { cwd: folder, env, stdio: ["ignore", "ignore", "pipe"] })
        let said = ""
        command.stderr.on("data", (chunk) => (said += String(chunk)))
        command.on("error", reject).on("close", (status) => (status === 0 ? resolve() : reject(new Error(said))))
      })
    onTestFinished(() => compose("down", "-t", "2"), 60_000)
    await compose("up", "-d", "--scale", "payment=2")

    const [port, admin] = await freePorts(2)
    const args = ["gateway", "--port", String(port), "--admin-port", String(admin), "--config", "config.yml"]
    meshwork("gateway", args, { cwd: folder, env: { DOCKER_HOST: dockerd.host } })
    const url = `http://127.0.0.1:${port}`
    /** Which containers answer forty requests. */
    const answering = async (path: string): Promise<string[]> => {
      const answers = await Promise.all(Array.from({ length: 40 }, async () => (await fetch(`${url}${path}`)).text()))
      return [...new Set(answers.map((answer) => answer.split(" ").slice(0, 2).join(" ")))].sort()
    }
    const ids = async (service: string) =>
      (await dockerd.run("ps", "-q", "--filter", `label=app_name=${service}`))
        .split("\n")
        .map((id) => `${service} ${id}`)
        .sort()
    const allAnswer = async (service: string, ms: number) => {
      const expected = await ids(service)
      await eventually(`all of ${service} answer`, ms, async () => expect(await answering(`/api/${service}`)).toEqual(expected))
      return expected
    }
    await allAnswer("orders", 20_000)
    expect(await allAnswer("payment", 20_000)).toHaveLength(2)
    const load = sendGets(`${url}/api/payment/charges`, 200_000, 4, 10)

    await compose("up", "-d", "--no-recreate", "--scale", "payment=4")
    // A HEALTHCHECK has to pass before a container is used, a second after its start at the earliest.
    expect(await allAnswer("payment", 15_000)).toHaveLength(4)
    await compose("up", "-d", "--no-recreate", "-t", "5", "--scale", "payment=2")
    expect(await allAnswer("payment", soonMs)).toHaveLength(2)

    const [sick = "", well = ""] = await ids("payment")
    await dockerd.run("kill", "-s", "USR2", sick.split(" ")[1] ?? "")
    await eventually("the sick one is out", 10_000, async () => expect(await answering("/api/payment")).toEqual([well]))
    await dockerd.run("kill", "-s", "USR2", sick.split(" ")[1] ?? "")
    await allAnswer("payment", 10_000)
    load.stop()
    const { failures, sent } = await load.finish()
    expect(failures).toEqual([])
    expect(sent).toBeGreaterThan(200)

    const refused = await fetch(`${url}/api/paymentXYZ`)
    expect([refused.status, await refused.text()]).toEqual([403, "This is not reachable"])
    const stats = (await getOk(`${url}/stats`)) as {
      requests_count: { error: number }
      routes: Record<string, { requests_count: { success: number; error: number } }>
    }
    expect(stats.requests_count.error).toBe(1)
    expect(stats.routes["/api/payment/*"]?.requests_count.error).toBe(0)
    expect(stats.routes["/api/payment/*"]?.requests_count.success).toBeGreaterThan(sent)
  },
)
