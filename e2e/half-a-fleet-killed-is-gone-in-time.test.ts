import { expect, it } from "vitest"
import { eventually } from "./support/eventually.ts"
import { journalOf } from "./support/journal.ts"
import { startMember } from "./support/members.ts"
import { createMesh } from "./support/mesh.ts"

const ttlSeconds = 3

it("six of twelve instances killed on a living host are gone within their lease and 2 s, and the journal says why", async () => {
  const mesh = await createMesh({ storage: "memory" })
  await mesh.startDiscovery()
  const members = await Promise.all(Array.from({ length: 12 }, () => startMember({ discoveryUrl: mesh.discoveryUrl, ttlSeconds })))
  await eventually("all serve", 10_000, async () => expect(await mesh.instances("member")).toHaveLength(12))
  const [killed, kept] = [members.slice(0, 6), members.slice(6)]
  const killedAt = performance.now()
  for (const member of killed) member.kill("SIGKILL")
  await eventually("the killed ones are gone", ttlSeconds * 1000 + 2000, async () => {
    const left = (await mesh.instances("member")).map(({ host, port }) => `${host}:${port}`)
    expect(left.sort()).toEqual(kept.map(({ address }) => address).sort())
  })
  expect(performance.now() - killedAt).toBeLessThan(ttlSeconds * 1000 + 2000)
  await eventually("the journal says why", 2000, async () => {
    const journal = await journalOf(mesh.discoveryUrl, "member")
    for (const { address } of killed) {
      const removal = journal.find(({ id, what }) => id === address && what === "expired")
      expect(removal?.why).toMatch(/last heartbeat .* s ago/)
      expect(removal?.why).toMatch(/refuses connections/)
    }
    expect(journal.filter(({ id, what }) => what === "expired" && kept.some(({ address }) => address === id))).toEqual([])
  })
})
