import { expect, it } from "vitest"
import { type CheckedService, startCheckedService } from "./support/checked-service.ts"
import { etcdMissing, startEtcd } from "./support/etcd.ts"
import { eventually } from "./support/eventually.ts"
import { journalOf } from "./support/journal.ts"
import { getOk } from "./support/mesh.ts"
import { freePorts, meshwork, type Program, scratchFolder } from "./support/programs.ts"

/** How long after its last sign of life a server counts as gone at most, ms: the lease of its announcement, and what etcd takes to end it. */
const takeOverMs = 16_000
const everyMs = 500
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

interface Server {
  url: string
  program: Program
}
interface Row {
  instance_url: string
  polled_by?: string
  stats_packets: unknown[]
}

/** By address, the servers that say they probe it themselves. */
async function probersOf(servers: readonly Server[]): Promise<Map<string, string[]>> {
  const probers = new Map<string, string[]>()
  for (const { url } of servers) {
    const { service_statistics: rows } = (await getOk(`${url}/stats?service=api&limit=1`)) as { service_statistics: Row[] }
    for (const { instance_url, polled_by } of rows) {
      const known = probers.get(instance_url) ?? []
      probers.set(instance_url, polled_by === undefined ? [...known, url] : known)
    }
  }
  return probers
}

/** Waits until each instance is probed by one of these servers, on which all of them agree, and every server has a share. */
const divided = (servers: readonly Server[], services: readonly CheckedService[]) =>
  eventually("the probes are divided", 30_000, async () => {
    const probers = await probersOf(servers)
    expect(probers.size).toBe(services.length)
    for (const [address, urls] of probers) expect(urls, address).toHaveLength(1)
    expect(new Set([...probers.values()].flat()).size).toBe(servers.length)
    return probers
  })

const checksSince = ({ checks }: CheckedService, from: number) => checks.filter((at) => at >= from)

/** How often each was asked at most, in any stretch of `ms`. */
function most(service: CheckedService, from: number, ms: number): number {
  const checks = checksSince(service, from)
  return Math.max(0, ...checks.map((begin) => checks.filter((at) => at >= begin && at < begin + ms).length))
}
const byOne = (ms: number) => Math.ceil(ms / (everyMs * 0.95)) + 1

it.skipIf(etcdMissing !== undefined)(
  "each instance is probed by one server at a time, and by another within seconds when that one dies",
  { timeout: 240_000 },
  async () => {
    const etcd = await startEtcd()
    const folder = scratchFolder()
    const [first, second, third] = await freePorts(3)
    const start = async (port = 0): Promise<Server> => {
      const args = ["discovery", "--port", String(port), "--storage", `etcd://${etcd.endpoint}/mesh`]
      const program = meshwork(`discovery on ${port}`, args, { cwd: folder })
      const url = `http://127.0.0.1:${port}`
      await eventually(`${url} is ready`, 20_000, () => getOk(`${url}/ready`))
      return { url, program }
    }
    const [a, b, c] = [await start(first), await start(second), await start(third)]
    const services = await Promise.all(Array.from({ length: 18 }, (_, n) => startCheckedService(`s${n}`)))
    const check = { method: "http", path: "/health", frequencySeconds: everyMs / 1000, timeoutSeconds: 1 }
    for (const { port } of services) {
      const body = JSON.stringify({ host: "127.0.0.1", port, ttlSeconds: 0, check, boot: "one" })
      const headers = { "content-type": "application/json" }
      const url = `${a.url}/v1/services/api/instances/127.0.0.1:${port}`
      expect((await fetch(url, { method: "PUT", headers, body })).status).toBe(201)
    }
    const standing = async ({ url }: Server, { address }: CheckedService) =>
      ((await getOk(`${url}/v1/services/api/instances/${address}`)) as { standing: string }).standing
    const shareOf = (probers: Map<string, string[]>, { url }: Server) =>
      services.filter(({ port }) => probers.get(`http://127.0.0.1:${port}`)?.[0] === url)
    const turns = async (service: CheckedService, status: number, becomes: string, at: readonly Server[]) => {
      service.health = status
      for (const server of at)
        await eventually(`${server.url} says ${becomes}`, 5000, async () => expect(await standing(server, service)).toBe(becomes))
    }

    let probers = await divided([a, b, c], services)
    const steady = performance.now()
    await pause(4000)
    for (const service of services) {
      expect(checksSince(service, steady).length).toBeGreaterThanOrEqual(4)
      expect(most(service, steady, 4000)).toBeLessThanOrEqual(byOne(4000))
    }
    const [one] = shareOf(probers, a)
    if (one === undefined) throw new Error("a server without a share")
    await turns(one, 500, "out", [a, b, c])

    // Dead: nobody is left without probes, and nobody gets more than two probers.
    const orphans = shareOf(probers, a)
    a.program.kill("SIGKILL")
    const died = performance.now()
    await a.program.ended
    for (const service of orphans)
      await eventually("it is probed again", takeOverMs, () => expect(checksSince(service, died + 1000).length).toBeGreaterThan(1))
    probers = await divided([b, c], services)
    await turns(one, 200, "serving", [b, c])
    for (const service of services) expect(most(service, died, 3000)).toBeLessThanOrEqual(2 * byOne(3000))

    // Stopped, which is as good as dead, and awake again: what it thought before must not overwrite what its successor found.
    const [sick] = shareOf(probers, b)
    if (sick === undefined) throw new Error("a server without a share")
    b.program.kill("SIGSTOP")
    await eventually("the other one has it all", takeOverMs + 2000, async () => {
      for (const urls of (await probersOf([c])).values()) expect(urls).toEqual([c.url])
    })
    await turns(sick, 500, "out", [c])
    const before = await journalOf(c.url, "api")
    b.program.kill("SIGCONT")
    await eventually("it has heard what happened", 10_000, async () => expect(await standing(b, sick)).toBe("out"))
    const again = await start(first)
    await divided([again, b, c], services)
    await pause(3000)
    const news = (await journalOf(c.url, "api")).filter(({ at }) => at > (before[0]?.at ?? 0))
    expect(news.filter(({ what }) => what === "passing" || what === "failing")).toEqual([])
    const settled = performance.now()
    await pause(4000)
    for (const service of services) expect(most(service, settled, 4000)).toBeLessThanOrEqual(byOne(4000))

    // Without the store nobody probes, what is known stays, and everything goes on when it is back.
    etcd.kill("SIGSTOP")
    await eventually("they say that they are stale", 15_000, async () => {
      for (const { url } of [again, b, c]) expect((await fetch(`${url}/v1/services/api/instances`)).headers.get("meshwork-stale")).not.toBeNull()
    })
    await pause(2000)
    const silent = performance.now()
    await pause(3000)
    for (const service of services) expect(checksSince(service, silent)).toEqual([])
    expect((await divided([again, b, c], services)).size).toBe(18)
    etcd.kill("SIGCONT")
    await eventually("all are probed again", 20_000, () => {
      for (const service of services) expect(checksSince(service, silent).length).toBeGreaterThan(1)
    })
    await turns(sick, 200, "serving", [again, b, c])
  },
)
