import { expect, it } from "vitest"
import { hasEtcd, linksTo } from "./support/etcd-cluster.ts"
import { eventually } from "./support/eventually.ts"
import type { Fleet } from "./support/fleet.ts"
import { journalOf } from "./support/journal.ts"
import { createManyServers, type ManyServers, services, ttlSeconds } from "./support/many-servers.ts"
import { getOk } from "./support/mesh.ts"

const noEtcd = !hasEtcd()
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** 300 instances that live and 50 that are to die, spread over the servers as their first choice. */
async function populate(many: ManyServers): Promise<{ living: string[]; doomed: Fleet }> {
  const fleets = await Promise.all([0, 1, 2, 0, 1, 2].map((first) => many.startFleet(first)))
  const doomed = await many.startFleet(0)
  const living = fleets.flatMap(({ members }) => members)
  await many.expectEverywhere([...living, ...doomed.members], 10_000)
  return { living, doomed }
}

/** Goes on registering until it is stopped; every acknowledgment counts. */
function keepRegistering(many: ManyServers): () => Promise<void> {
  let going = true
  const done = (async () => {
    for (let turn = 0; going; turn++) {
      await many.acknowledge(`kept-${turn}`, turn)
      await pause(50)
    }
  })()
  return async () => {
    going = false
    await done
  }
}

/** Waits for the dead to go, and compares everything with everything. */
async function expectDeadGone(many: ManyServers, living: readonly string[], diedAt: number, boundSeconds: number): Promise<void> {
  await many.expectEverywhere(living, boundSeconds * 1000 - (performance.now() - diedAt))
  await many.expectNeverExpired(living)
}

it.skipIf(noEtcd)(
  "a server is killed and instances with it: those that live stay, the dead are gone in time, and heartbeats write nothing",
  async () => {
    const many = await createManyServers()
    const { living, doomed } = await populate(many)
    // Over 500 heartbeats come in these 5 s. Callers that turned to another server a moment ago are taken over once, which is a write each.
    await eventually("heartbeats write nothing", 25_000, async () => {
      const revision = await many.etcd.revision()
      await pause(5000)
      expect((await many.etcd.revision()) - revision).toBeLessThan(10)
    })

    const early = await many.startFleet(1)
    early.program.kill("SIGKILL")
    const endedAt = Date.now()
    await many.expectEverywhere([...living, ...doomed.members], (ttlSeconds + 6) * 1000)
    for (const { url } of many.servers) {
      const journal = (await Promise.all(services.map((service) => journalOf(url, service)))).flat()
      const ends = journal.filter(({ id, what }) => what === "expired" && early.members.some((member) => member.endsWith(`/${id}`)))
      expect(ends).toHaveLength(early.members.length)
      expect(Math.max(...ends.map(({ at }) => at)) - endedAt).toBeLessThan((ttlSeconds + 2) * 1000)
      expect(ends.every(({ why }) => /^lease expired: last heartbeat \d+\.\d s ago/.test(why))).toBe(true)
    }

    const stop = keepRegistering(many)
    await pause(500)
    many.servers[0]?.program.kill("SIGKILL")
    doomed.program.kill("SIGKILL")
    const killedAt = performance.now()
    await pause(4000)
    await many.servers[0]?.start()
    await stop()
    await expectDeadGone(many, living, killedAt, ttlSeconds + 12)
  },
)

it.skipIf(noEtcd)("the leader of etcd is killed: nobody who lives is removed, and nothing that was acknowledged is lost", async () => {
  const many = await createManyServers()
  const { living, doomed } = await populate(many)
  const stop = keepRegistering(many)
  const leader = await many.etcd.leader()
  await many.etcd.members[leader]?.kill()
  doomed.program.kill("SIGKILL")
  const killedAt = performance.now()
  const known = many.acknowledged.length
  await eventually("registrations go on", 10_000, () => expect(many.acknowledged.length).toBeGreaterThan(known + 5))
  await pause(4000)
  await many.etcd.members[leader]?.start()
  await stop()
  await expectDeadGone(many, living, killedAt, ttlSeconds + 12)
})

it.skipIf(noEtcd)("a server stands still for longer than a lease and goes on: its instances have moved, and it catches up", async () => {
  const many = await createManyServers()
  const { living, doomed } = await populate(many)
  const stop = keepRegistering(many)
  many.servers[0]?.program.kill("SIGSTOP")
  doomed.program.kill("SIGKILL")
  const stoppedAt = performance.now()
  await pause((ttlSeconds + 4) * 1000)
  many.servers[0]?.program.kill("SIGCONT")
  await stop()
  await expectDeadGone(many, living, stoppedAt, ttlSeconds + 12)
})

it.skipIf(noEtcd)("a server is cut off from etcd: it answers and says that it is stale, its instances move, and it catches up", async () => {
  let set: (state: "up" | "silent" | "refused") => void = () => {}
  const many = await createManyServers(async (etcd, server) => {
    if (server !== 0) return etcd.endpoints
    const links = await linksTo(etcd)
    set = (state) => links.set(state)
    return links.endpoints
  })
  const { living, doomed } = await populate(many)
  const url = many.servers[0]?.url ?? ""
  const stop = keepRegistering(many)
  set("silent")
  doomed.program.kill("SIGKILL")
  const cutAt = performance.now()
  await eventually("reads say so", 9000, async () => {
    const answer = await fetch(`${url}/v1/services/beta/instances`)
    const { instances } = (await answer.json()) as { instances: unknown[] }
    expect([answer.status, instances.length, Number(answer.headers.get("meshwork-stale")) >= 5]).toEqual([200, 70, true])
  })
  const refused = await fetch(`${url}/v1/services/beta/instances/new`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ host: "127.0.0.1", port: 9 }),
  })
  expect([refused.status, Number(refused.headers.get("retry-after")) >= 1]).toEqual([503, true])
  expect(await refused.json()).toMatchObject({ code: "storage_unavailable" })
  await expect(getOk(`${url}/ready`)).rejects.toThrow(/503/)
  await stop()
  // The other two agree on who is dead while it is away, and who followed it follows them.
  await many.expectFollowed(living, (ttlSeconds + 12) * 1000 - (performance.now() - cutAt))
  set("up")
  await expectDeadGone(many, living, cutAt, ttlSeconds + 20)
})
