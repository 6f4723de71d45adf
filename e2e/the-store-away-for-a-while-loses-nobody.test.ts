import { expect, it } from "vitest"
import { eventually } from "./support/eventually.ts"
import { journalOf } from "./support/journal.ts"
import { getOk } from "./support/mesh.ts"
import { createEtcd, hasEtcd } from "./support/etcd-cluster.ts"
import { startFleet } from "./support/fleet.ts"
import { freePorts, meshwork, scratchFolder } from "./support/programs.ts"

const ttlSeconds = 6
const services = ["alpha", "beta"]

it.skipIf(!hasEtcd())(
  "etcd is away for longer than three leases: reads answer and say so, nothing is taken on, and afterwards all is as it should be",
  async () => {
    const etcd = await createEtcd(1)
    const folder = scratchFolder()
    const ports = await freePorts(2)
    const urls = ports.map((port) => `http://127.0.0.1:${port}`)
    for (const [index, port] of ports.entries()) {
      meshwork(`server ${index}`, ["discovery", "--port", String(port), "--storage", `etcd://${etcd.endpoints.join()}/away`], { cwd: folder })
      await eventually(`server ${index} is ready`, 20_000, () => getOk(`${urls[index]}/ready`))
    }
    const fleet = (name: string) => startFleet({ name, discovery: urls, services, count: 20, ttlSeconds })
    const [living, doomed] = [await fleet("living"), await fleet("doomed")]
    const listed = async (url: string | undefined) => {
      const answers = await Promise.all(services.map((service) => fetch(`${url}/v1/services/${service}/instances`)))
      const lists = (await Promise.all(answers.map((answer) => answer.json()))) as { instances: { service: string; id: string }[] }[]
      expect(answers.map(({ status }) => status)).toEqual([200, 200])
      return {
        stale: answers.map(({ headers }) => Number(headers.get("meshwork-stale") ?? Number.NaN)),
        keys: lists.flatMap(({ instances }) => instances.map(({ service, id }) => `${service}/${id}`)).sort(),
      }
    }
    const all = [...living.members, ...doomed.members].sort()
    for (const url of urls) await eventually("all are there", 5000, async () => expect((await listed(url)).keys).toEqual(all))

    await etcd.members[0]?.kill()
    doomed.program.kill("SIGKILL")
    const until = performance.now() + 22_000
    for (const url of urls) {
      await eventually("reads say that they are stale", 8000, async () =>
        expect((await listed(url)).stale.every((seconds) => seconds >= 5)).toBe(true),
      )
    }
    while (performance.now() < until) {
      for (const url of urls) {
        const { keys, stale } = await listed(url)
        expect(keys).toEqual(all)
        expect(stale.every((seconds) => seconds >= 5)).toBe(true)
        const refused = await fetch(`${url}/v1/services/alpha/instances/new`, {
          method: "PUT",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ host: "127.0.0.1", port: 9, ttlSeconds: 0 }),
        })
        expect([refused.status, Number(refused.headers.get("retry-after")) >= 1]).toEqual([503, true])
        expect(await refused.json()).toMatchObject({ code: "storage_unavailable", status: 503 })
        const beat = await fetch(`${url}/v1/services/alpha/instances/living-0/heartbeat`, { method: "PUT" })
        expect([beat.status, await beat.json()]).toEqual([202, { pending: true }])
      }
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
    await etcd.members[0]?.start()
    for (const url of urls) {
      await eventually("only those that live are there", (ttlSeconds + 8) * 1000, async () => {
        expect(await listed(url)).toEqual({ keys: living.members.toSorted(), stale: [Number.NaN, Number.NaN] })
      })
      const journal = (await Promise.all(services.map((service) => journalOf(url, service)))).flat()
      expect(journal.filter(({ what, id }) => what === "expired" && id.startsWith("living-"))).toEqual([])
      expect(journal.filter(({ what, id }) => what === "expired" && id.startsWith("doomed-"))).toHaveLength(20)
    }
    const stored = Object.keys(await etcd.content("/away/service/")).map((key) => key.slice("/away/service/".length))
    expect(stored.sort()).toEqual(living.members.toSorted())
  },
)
