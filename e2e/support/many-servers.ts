import { join } from "node:path"
import { expect } from "vitest"
import { createEtcd, type RealEtcd } from "./etcd-cluster.ts"
import { eventually } from "./eventually.ts"
import { type Fleet, startFleet } from "./fleet.ts"
import { journalOf } from "./journal.ts"
import { getOk } from "./mesh.ts"
import { freePorts, launch, meshwork, type Program, root, scratchFolder } from "./programs.ts"

export const ttlSeconds = 8
export const services: readonly string[] = ["alpha", "beta", "gamma", "delta", "epsilon"]
const perFleet = 50

/** A discovery server of several. */
export interface Server {
  readonly url: string
  program: Program
  start(): Promise<void>
}

export interface ManyServers {
  readonly etcd: RealEtcd
  readonly servers: readonly Server[]
  /** Starts 50 instances whose first server is the one of this number. */
  startFleet(first: number): Promise<Fleet>
  /** Registers an instance for ever, at whichever server takes it; what was acknowledged must never be lost. */
  acknowledge(id: string, first: number): Promise<void>
  readonly acknowledged: readonly string[]
  /** Fails unless all servers, etcd and everybody who follows show exactly these. */
  expectEverywhere(expected: readonly string[], withinMs: number): Promise<void>
  /** Fails unless everybody who follows shows exactly these, at whichever server. */
  expectFollowed(expected: readonly string[], withinMs: number): Promise<void>
  /** Fails if a lease of these was ever ended. */
  expectNeverExpired(members: readonly string[]): Promise<void>
}

/** Three discovery servers over an etcd of three members, each followed by a client that prefers it. `endpoints`: how a server finds etcd. */
export async function createManyServers(endpoints?: (etcd: RealEtcd, server: number) => Promise<readonly string[]>): Promise<ManyServers> {
  const etcd = await createEtcd(3)
  const folder = scratchFolder()
  const ports = await freePorts(3)
  const urls = ports.map((port) => `http://127.0.0.1:${port}`)
  const from = (first: number) => urls.map((_, step) => urls[(first + step) % urls.length] ?? "")
  const servers = await Promise.all(
    urls.map(async (url, index): Promise<Server> => {
      const hosts = (await endpoints?.(etcd, index)) ?? etcd.endpoints
      const start = async () => {
        const args = ["discovery", "--port", String(ports[index]), "--storage", `etcd://${hosts.join()}/e2e`]
        server.program = meshwork(`server ${index}`, args, { cwd: folder })
        await eventually(`server ${index} is ready`, 20_000, () => getOk(`${url}/ready`))
      }
      const server: Server = { url, start, program: undefined as unknown as Program }
      await start()
      return server
    }),
  )
  const followers = urls.map((_, index) =>
    launch(`follower ${index}`, process.execPath, [join(root, "e2e/programs/follower.mjs")], {
      env: { MESHWORK_SERVER: from(index).join(), SERVICES: services.join() },
    }),
  )
  const acknowledged: string[] = []
  let fleets = 0

  const listed = async (url: string) => {
    const lists = (await Promise.all(services.map((service) => getOk(`${url}/v1/services/${service}/instances`)))) as {
      service: string
      instances: { id: string; standing: string }[]
    }[]
    return lists.flatMap(({ service, instances }) => instances.map(({ id, standing }) => `${service}/${id} ${standing}`))
  }
  const followed = (program: Program) => {
    const last = new Map<string, string[]>()
    for (const line of program.stdout().split("\n").slice(0, -1)) {
      const { service, ids } = JSON.parse(line) as { service: string; ids: string[] }
      last.set(
        service,
        ids.map((id) => `${service}/${id}`),
      )
    }
    return [...last.values()].flat()
  }

  const expectFollowed = async (expected: readonly string[], withinMs: number) => {
    const serving = [...expected, ...acknowledged].map((key) => `${key} serving`).sort()
    const limit = performance.now() + withinMs
    for (const follower of followers) {
      const hold = () => expect(followed(follower).sort()).toEqual(serving)
      await eventually(`${follower.title} holds the present state`, Math.max(0, limit - performance.now()), hold)
    }
  }

  return {
    etcd,
    servers,
    acknowledged,
    expectFollowed,
    startFleet: (first) => startFleet({ name: `f${fleets++}`, discovery: from(first), services, count: perFleet, ttlSeconds }),
    async acknowledge(id, first) {
      await eventually(`${id} is registered`, 15_000, async () => {
        const url = urls[(first + Math.floor(performance.now() / 100)) % urls.length]
        const answer = await fetch(`${url}/v1/services/alpha/instances/${id}`, {
          method: "PUT",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ host: "127.0.0.1", port: 9, ttlSeconds: 0 }),
          signal: AbortSignal.timeout(2000),
        })
        await answer.arrayBuffer()
        if (answer.status !== 201 && answer.status !== 200) throw new Error(`${url} answered ${answer.status}`)
      })
      acknowledged.push(`alpha/${id}`)
    },
    async expectEverywhere(expected, withinMs) {
      const serving = [...expected, ...acknowledged].map((key) => `${key} serving`).sort()
      const limit = performance.now() + withinMs
      const within = () => Math.max(0, limit - performance.now())
      for (const { url } of servers)
        await eventually(`${url} shows the present state`, within(), async () => expect((await listed(url)).sort()).toEqual(serving))
      await expectFollowed(expected, within() + 3000)
      const stored = Object.keys(await etcd.content("/e2e/service/")).map((key) => `${key.slice("/e2e/service/".length)} serving`)
      expect(stored.sort()).toEqual(serving)
    },
    async expectNeverExpired(members) {
      const alive = new Set(members)
      for (const { url } of servers) {
        for (const service of services) {
          const ended = (await journalOf(url, service)).filter(
            ({ id, what }) => alive.has(`${service}/${id}`) && what !== "registered" && what !== "updated",
          )
          expect(ended).toEqual([])
        }
      }
    },
  }
}
