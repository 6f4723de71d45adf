import { join } from "node:path"
import { expect, it } from "vitest"
import { dockerReason, engineOfThisFile, makeSleeper, startContainer, startRgate, untilItAnswers } from "./support/docker.ts"
import { startRelay } from "./support/docker-relay.ts"
import { eventually } from "./support/eventually.ts"
import { sendGets } from "./support/load.ts"
import { getOk } from "./support/mesh.ts"
import { scratchFolder } from "./support/programs.ts"

/** From Docker's return on. */
const convergedMs = 5000
const soonMs = 1500
const engine = engineOfThisFile(["--live-restore"])

interface Stats {
  docker: { connected: boolean; age_ms: number; problem?: string }
}

it.skipIf(dockerReason !== undefined)("the stream of events is cut, lists fail, the socket is replaced: traffic never stops", async () => {
  const dockerd = engine()
  const relay = await startRelay(join(scratchFolder(), "docker.sock"), dockerd.socket)
  await Promise.all(["payment-1", "payment-2"].map((name) => startContainer(dockerd, "payment", name)))
  const gateway = await startRgate(relay)
  const becomes = (names: string[], ms: number) =>
    eventually(`${names.join()} answer`, ms, async () => expect(await gateway.answering("/api/payment")).toEqual(names))
  const stats = async () => ((await getOk(`${gateway.url}/stats`)) as Stats).docker
  await becomes(["payment-1", "payment-2"], convergedMs)
  const load = sendGets(`${gateway.url}/api/payment`, 200_000, 4, 10)

  relay.cutEvents()
  await startContainer(dockerd, "payment", "payment-3")
  await becomes(["payment-1", "payment-2", "payment-3"], soonMs)

  for (const how of ["500", "cut"] as const) {
    relay.failLists(1, how)
    await dockerd.run("stop", "-t", "2", "payment-3")
    await becomes(["payment-1", "payment-2"], soonMs)
    await dockerd.run("start", "payment-3")
    await untilItAnswers(dockerd, "payment-3")
    await becomes(["payment-1", "payment-2", "payment-3"], soonMs)
  }

  await relay.vanish()
  await eventually("the loss shows", soonMs, async () =>
    expect(await stats()).toMatchObject({ connected: false, problem: expect.stringContaining("there is no such socket") }),
  )
  await startContainer(dockerd, "payment", "payment-4")
  const { age_ms: age } = await stats()
  await eventually("its age grows", soonMs, async () => expect((await stats()).age_ms).toBeGreaterThan(age + 100))
  expect(await gateway.answering("/api/payment")).toEqual(["payment-1", "payment-2", "payment-3"])
  expect((await getOk(`${gateway.adminUrl}/ready`)) as object).toMatchObject({ ready: true })
  await relay.appear()
  await becomes(["payment-1", "payment-2", "payment-3", "payment-4"], convergedMs)
  expect(await stats()).toMatchObject({ connected: true })
  expect((await stats()).problem).toBeUndefined()

  load.stop()
  const { failures, sent } = await load.finish()
  expect(failures).toEqual([])
  expect(sent).toBeGreaterThan(200)
})

it.skipIf(dockerReason !== undefined)(
  "the daemon ends or is killed, and its containers live on: traffic does too; converged within 5 s of its return",
  async () => {
    const dockerd = engine()
    const names = ["payment-1", "payment-2"]
    await Promise.all(names.map((name) => startContainer(dockerd, "payment", name)))
    const gateway = await startRgate(dockerd)
    const becomes = (expected: string[]) =>
      eventually(`${expected.join()} answer`, convergedMs, async () => expect(await gateway.answering("/api/payment")).toEqual(expected))
    await becomes(names)
    for (const [signal, added, lost] of [
      ["SIGTERM", "payment-3", 10],
      ["SIGKILL", "payment-4", 40],
    ] as const) {
      await new Promise((resolve) => setTimeout(resolve, 1000))
      const load = sendGets(`${gateway.url}/api/payment`, 200_000, 2, 10)
      await dockerd.end(signal)
      // The proxies of published ports go with the daemon, and the gateway has to notice that first.
      await becomes(names)
      load.stop()
      expect((await load.finish()).failures.length).toBeLessThanOrEqual(lost)
      const away = sendGets(`${gateway.url}/api/payment`, 100, 2, 10)
      expect((await away.finish()).failures).toEqual([])
      await dockerd.start()
      names.push(await startContainer(dockerd, "payment", added))
      await becomes(names)
    }
    await dockerd.run("stop", "-t", "2", "payment-1")
    await becomes(names.slice(1))
  },
)

it.skipIf(dockerReason !== undefined)(
  "Docker absent at the start: the gateway starts, says so, and finds the containers when Docker comes",
  async () => {
    const dockerd = engine()
    const path = join(scratchFolder(), "docker.sock")
    const relay = await startRelay(path, dockerd.socket)
    await relay.vanish()
    await startContainer(dockerd, "payment", "payment-1")
    const gateway = await startRgate(relay)
    expect((await fetch(`${gateway.url}/api/payment`)).status).toBe(503)
    expect(gateway.stderr()).toContain(`Docker at unix://${path}`)
    expect(gateway.stderr()).toContain("it is tried again for ever")
    await relay.appear()
    await eventually("it is found", convergedMs, async () => expect(await gateway.answering("/api/payment")).toEqual(["payment-1"]))
  },
)

it.skipIf(dockerReason !== undefined)("a hundred containers at once: few lists, and every one is found", async () => {
  const dockerd = engine()
  const relay = await startRelay(join(scratchFolder(), "docker.sock"), dockerd.socket)
  const gateway = await startRgate(relay)
  const names = Array.from({ length: 100 }, (_, n) => `payment-${n}`)
  const labels = ["--label", "app_name=payment", "--label", "env=production"]
  const sleeper = makeSleeper(dockerd)
  // The machine's network costs none of them a bridge or a proxy: it is the events that count here, not how fast a machine makes networks.
  const create = (name: string) => dockerd.run("create", "--name", name, "--network", "host", ...labels, "--label", "meshwork.port=1", sleeper)
  for (let n = 0; n < names.length; n += 10) await Promise.all(names.slice(n, n + 10).map(create))
  const before = relay.lists()
  await Promise.all(Array.from({ length: 10 }, (_, n) => dockerd.run("start", ...names.slice(n * 10, n * 10 + 10))))
  await eventually("all are found", convergedMs, async () => {
    const { containers } = (await getOk(`${gateway.adminUrl}/containers`)) as { containers: { name: string }[] }
    expect(containers.map(({ name }) => name).toSorted()).toEqual(names.toSorted())
  })
  expect(relay.lists() - before).toBeLessThan(100)
  await dockerd.run("kill", ...names)
  await eventually("all are gone", convergedMs, async () => expect(await getOk(`${gateway.adminUrl}/containers`)).toMatchObject({ containers: [] }))
})
