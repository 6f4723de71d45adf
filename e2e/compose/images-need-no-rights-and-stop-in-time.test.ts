import { expect, it, onTestFinished } from "vitest"
import { composedMesh, composeReason, type ComposedMesh } from "../support/compose.ts"
import { eventually } from "../support/eventually.ts"
import { sendGets } from "../support/load.ts"

const rights = [
  "--read-only",
  "--user",
  "1000",
  "--cap-drop",
  "ALL",
  "--security-opt",
  "no-new-privileges",
  "--memory",
  "128m",
  "--memory-swap",
  "128m",
]

it.skipIf(composeReason)("every image runs read-only as user 1000 without capabilities in 128 MB, becomes healthy, and stops with 0", async () => {
  const mesh = await composedMesh()
  const token = ["-e", "MESHWORK_TOKEN=of-this-test"]
  const network = [
    "--network",
    (await mesh.docker("inspect", "-f", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}", mesh.container("etcd"))).trim(),
  ]
  // With a health check every second; what it writes goes to /data, which is a volume.
  const start = async (app: string, ...more: string[]): Promise<string> => {
    const name = `alone-${app}`
    onTestFinished(() => mesh.docker("rm", "-fv", name).then(() => {}))
    await mesh.docker("run", "-d", "--name", name, "--health-interval", "1s", ...rights, ...network, ...token, ...more, `meshwork/${app}`)
    return name
  }
  const discovery = await start("discovery")
  const server = ["-e", `MESHWORK_SERVER=http://${discovery}:8008`, "-e", `MESHWORK_DISCOVERY=http://${discovery}:8008`]
  await mesh.healthy(discovery)
  const others = [await start("gateway", ...server), await start("payment", ...server), await start("orders", ...server)]
  for (const name of others) await mesh.healthy(name)
  const listed = await mesh.docker("run", "--rm", ...rights, ...network, ...server, "meshwork/cli", "service", "list", "--format", "json")
  expect((JSON.parse(listed) as { service: string }[]).map(({ service }) => service).sort()).toEqual(["orders", "payment"])
  const times: Record<string, number> = {}
  for (const name of [...others.toReversed(), discovery]) {
    times[name] = await secondsToStop(mesh, name)
    expect(await mesh.docker("inspect", "-f", "{{.State.ExitCode}} {{.State.OOMKilled}}", name)).toBe("0 false")
  }
  // Instances go on accepting for a second while they drain.
  expect(
    Object.values(times).filter((seconds) => seconds > 5),
    JSON.stringify(times),
  ).toEqual([])
})

it.skipIf(composeReason)("the shop's load fits into 128 MB for each process", async () => {
  const mesh = await composedMesh()
  const { failures, bodies } = await sendGets(`${mesh.gatewayUrl}/api/orders/7`, 10_000, 32).finish()
  expect(failures).toEqual([])
  expect(bodies).toHaveLength(10_000)
  for (const service of ["gateway", "orders", "payment", "discovery-1", "discovery-2"]) {
    const [limit, killed, restarts] = (
      await mesh.docker("inspect", "-f", "{{.HostConfig.Memory}} {{.State.OOMKilled}} {{.RestartCount}}", mesh.container(service))
    ).split(" ")
    expect([limit, killed], service).toEqual([String(128 * 1024 * 1024), "false"])
    expect(Number(restarts), service).toBeLessThanOrEqual(1)
  }
})

it.skipIf(composeReason)("a discovery server that others could reach does not start without a token", async () => {
  const mesh = await composedMesh()
  onTestFinished(() => mesh.docker("rm", "-fv", "open").then(() => {}))
  await mesh.docker("run", "-d", "--name", "open", ...rights, "meshwork/discovery")
  await eventually("it ends", 20_000, async () => expect(await mesh.docker("inspect", "-f", "{{.State.Status}}", "open")).toBe("exited"))
  expect(await mesh.docker("inspect", "-f", "{{.State.ExitCode}}", "open")).not.toBe("0")
})

async function secondsToStop(mesh: ComposedMesh, name: string): Promise<number> {
  const begin = performance.now()
  await mesh.docker("stop", "-t", "15", name)
  return (performance.now() - begin) / 1000
}
