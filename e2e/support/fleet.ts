import { join } from "node:path"
import { expect } from "vitest"
import { eventually } from "./eventually.ts"
import { launch, type Program, root } from "./programs.ts"

/** A process of many instances that register themselves over the SDK. */
export interface Fleet {
  readonly program: Program
  /** `service/id` of each. */
  readonly members: readonly string[]
}

export interface FleetOptions {
  name: string
  /** URLs of discovery servers in the order of preference. */
  discovery: readonly string[]
  /** Instances are divided among them evenly. */
  services: readonly string[]
  count: number
  ttlSeconds: number
}

/** Starts one; resolves when all are registered. */
export async function startFleet({ name, discovery, services, count, ttlSeconds }: FleetOptions): Promise<Fleet> {
  const program = launch(`fleet ${name}`, process.execPath, [join(root, "e2e/programs/fleet.mjs")], {
    env: { MESHWORK_SERVER: discovery.join(), SERVICES: services.join(), COUNT: String(count), TTL: String(ttlSeconds), NAME: name },
  })
  await eventually(`fleet ${name} is registered`, 20_000, () => expect(program.stdout()).toContain("all registered"))
  return { program, members: Array.from({ length: count }, (_, index) => `${services[index % services.length]}/${name}-${index}`) }
}
