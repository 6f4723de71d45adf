import { expect, it } from "vitest"
import { eventually } from "./support/eventually.ts"
import { createFakeClock, fakeClockReason } from "./support/fake-clock.ts"
import { journalOf } from "./support/journal.ts"
import { sendGets } from "./support/load.ts"
import { startMember } from "./support/members.ts"
import { createMesh, getOk } from "./support/mesh.ts"

const ttlSeconds = 3
const hour = 3600

it.skipIf(fakeClockReason)(
  "a wall clock that jumps a day ahead and an hour back expires nobody, holds back no change and fails no request",
  async () => {
    const mesh = await createMesh({ routes: "  - { pathPrefix: /, service: member }\n" })
    const clock = createFakeClock(mesh.folder)
    const now = async (): Promise<number> => Date.parse((await fetch(`${mesh.discoveryUrl}/ready`)).headers.get("date") ?? "")
    let discovery = await mesh.startDiscovery(clock.env)
    await mesh.startGateway()
    const members = await Promise.all(Array.from({ length: 4 }, () => startMember({ discoveryUrl: mesh.discoveryUrl, ttlSeconds, check: 1 })))
    const allServe = async (count = 4): Promise<void> => {
      expect((await mesh.instances("member")).map(({ standing }) => standing)).toEqual(Array.from({ length: count }, () => "serving"))
    }
    await eventually("all serve", 10_000, () => allServe())
    await eventually("the gateway answers", 10_000, () => fetch(mesh.gatewayUrl).then((response) => expect(response.status).toBe(200)))

    const load = sendGets(mesh.gatewayUrl, 50_000, 4, 10)
    for (const seconds of [24 * hour, -hour]) {
      clock.jump(seconds)
      await eventually("its clock has jumped", 5000, async () => expect(Math.abs((await now()) - Date.now() - seconds * 1000)).toBeLessThan(5000))
      // What ran out by mistake would do so within a lease from here on.
      const limit = performance.now() + (ttlSeconds + 1) * 1000
      while (performance.now() < limit) {
        await allServe()
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
    const journal = (await journalOf(mesh.discoveryUrl, "member")).map(({ what }) => what)
    expect(journal.filter((what) => what !== "registered" && what !== "passing")).toEqual([])

    // Leases go on to end on time.
    const [gone, ...rest] = members
    gone?.kill("SIGKILL")
    await eventually("the killed one is gone", (ttlSeconds + 2) * 1000, () => allServe(3))
    const again = await startMember({ discoveryUrl: mesh.discoveryUrl, ttlSeconds, check: 1 })
    await eventually("a new one serves", 5000, () => allServe(4))

    // A restart with the clock an hour behind what the store says it was last alive at.
    discovery.kill("SIGKILL")
    await discovery.ended
    clock.jump(-2 * hour)
    discovery = await mesh.startDiscovery(clock.env)
    await eventually("all serve after the restart", 5000, () => allServe(4))
    expect((await mesh.instances("member")).map(({ host, port }) => `${host}:${port}`).sort()).toEqual(
      [...rest, again].map(({ address }) => address).sort(),
    )
    load.stop()
    expect((await load.finish()).failures).toEqual([])
    await getOk(`${mesh.discoveryUrl}/ready`)
  },
)
