import { onTestFinished } from "vitest"
import { type BreakableLink, breakableLink, hasEtcd, type RealEtcd, startEtcd } from "../../packages/storage/etcd/dist/testing/index.js"

export { hasEtcd }
export type { RealEtcd }

/** An etcd of real members that goes with the test. */
export async function createEtcd(members: number): Promise<RealEtcd> {
  const etcd = await startEtcd(members)
  onTestFinished(() => etcd.remove())
  return etcd
}

/** Links to every member of an etcd, to be broken together. */
export async function linksTo(etcd: RealEtcd): Promise<{ endpoints: string[]; set(state: BreakableLink["state"]): void }> {
  const links = await Promise.all(etcd.endpoints.map((endpoint) => breakableLink(endpoint)))
  onTestFinished(async () => {
    await Promise.all(links.map((link) => link.close()))
  })
  return {
    endpoints: links.map((link) => link.endpoint),
    set: (state) => {
      for (const link of links) link.state = state
    },
  }
}
