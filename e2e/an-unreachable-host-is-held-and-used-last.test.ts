import { expect, it, test } from "vitest"
import { eventually } from "./support/eventually.ts"
import { journalOf } from "./support/journal.ts"
import { sendGets } from "./support/load.ts"
import { type Member, startMember } from "./support/members.ts"
import { createMesh, type Mesh } from "./support/mesh.ts"
import { createRemoteHost, namespacesMissing, type RemoteHost } from "./support/network-namespace.ts"

const ttlSeconds = 3
const token = "a-token-of-the-test"
const holdMs = 300_000

interface Fleet {
  mesh: Mesh
  host: RemoteHost
  near: Member[]
  far: Member[]
}

/** Twelve instances, half of them on a host of its own. */
async function startFleet(): Promise<Fleet> {
  const host = createRemoteHost()
  const mesh = await createMesh({ storage: "memory", host: host.hereAddress, token, routes: "  - { pathPrefix: /, service: member }\n" })
  await mesh.startDiscovery()
  await mesh.startGateway()
  const start = (more: object) => startMember({ discoveryUrl: mesh.discoveryUrl, ttlSeconds, token, ...more })
  const near = await Promise.all(Array.from({ length: 6 }, () => start({})))
  const far = await Promise.all(Array.from({ length: 6 }, () => start({ host: host.address, within: host.within })))
  await eventually("all serve", 15_000, async () =>
    expect((await mesh.instances("member")).filter(({ standing }) => standing === "serving")).toHaveLength(12),
  )
  await eventually("the gateway reaches both hosts", 10_000, async () => {
    const answers = await Promise.all(Array.from({ length: 24 }, async () => (await fetch(mesh.gatewayUrl)).text()))
    expect(new Set(answers.map((answer) => answer.split(":")[0]))).toEqual(new Set(["127.0.0.1", host.address]))
  })
  return { mesh, host, near, far }
}

async function cutAndAwaitSuspicion({ mesh, host, far }: Fleet): Promise<void> {
  host.cut()
  await eventually("those of the cut host are suspect", ttlSeconds * 1000 + 3000, async () => {
    const suspects = (await mesh.instances("member")).filter(({ standing }) => standing === "suspect")
    expect(suspects.map(({ host: address, port }) => `${address}:${port}`).sort()).toEqual(far.map(({ address }) => address).sort())
  })
}

it.skipIf(namespacesMissing !== undefined)(
  "half a fleet that cannot be reached is held, gets nothing while others serve, and serves again when it is back",
  async () => {
    const fleet = await startFleet()
    const { mesh, host } = fleet
    const load = sendGets(mesh.gatewayUrl, 20_000, 4, 10)
    await cutAndAwaitSuspicion(fleet)
    const suspects = (await mesh.instances("member")).filter(({ standing }) => standing === "suspect") as { why?: string }[]
    for (const { why } of suspects) expect(why).toMatch(/goes when its port refuses or at 20/)
    // What was on its way when the host was cut may still come back.
    const answers = await Promise.all(Array.from({ length: 60 }, async () => (await fetch(mesh.gatewayUrl)).text()))
    expect(new Set(answers.map((answer) => answer.split(":")[0]))).toEqual(new Set(["127.0.0.1"]))

    host.mend()
    await eventually("they serve again", 10_000, async () =>
      expect((await mesh.instances("member")).filter(({ standing }) => standing === "serving")).toHaveLength(12),
    )
    load.stop()
    expect((await load.finish()).failures).toEqual([])
    const journal = await journalOf(mesh.discoveryUrl, "member")
    expect(journal.filter(({ what }) => what === "suspected")).toHaveLength(6)
    expect(journal.filter(({ what }) => what === "expired")).toEqual([])
  },
)

test.skipIf(namespacesMissing !== undefined || process.env["MESHWORK_LONG"] === undefined)(
  "what stays unreachable is let go after 300 s, and the journal says so (five minutes: only with MESHWORK_LONG=1)",
  { timeout: holdMs * 2 },
  async () => {
    const fleet = await startFleet()
    const { mesh, far, near } = fleet
    await cutAndAwaitSuspicion(fleet)
    await new Promise((resolve) => setTimeout(resolve, holdMs - 10_000))
    expect(await mesh.instances("member")).toHaveLength(12)
    await eventually("they are let go", 20_000, async () => {
      const left = (await mesh.instances("member")).map(({ host, port }) => `${host}:${port}`)
      expect(left.sort()).toEqual(near.map(({ address }) => address).sort())
    })
    // A read leaves out what is over before its removal is written down.
    await eventually("the journal says so", 2000, async () => {
      const journal = await journalOf(mesh.discoveryUrl, "member")
      for (const { address } of far)
        expect(journal.find(({ id, what }) => id === address && what === "expired")?.why).toMatch(/held as suspect for 300 s/)
    })
  },
)
