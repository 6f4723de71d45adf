import { type Registration, registrationSchema, type RegistrationInput } from "@meshwork/contract"
import { ManualClock, seededRandom } from "@meshwork/contract/testing"
import { createRegistry } from "../create-registry.ts"
import { createMemoryStorage } from "../memory/memory-storage.ts"
import type { Registry, RegistryOptions } from "../registry.ts"
import type { RegistryStorage } from "../storage-port.ts"

/** A registry on memory and a clock that a test moves; options override what it is made of. */
export async function openRegistry(
  options: Partial<RegistryOptions> & { clock?: ManualClock } = {},
): Promise<{ registry: Registry; clock: ManualClock; storage: RegistryStorage }> {
  const clock = options.clock ?? new ManualClock()
  const storage = options.storage ?? createMemoryStorage()
  const registry = await createRegistry({
    server: { id: "server-1", url: "http://127.0.0.1:8008" },
    random: seededRandom(1),
    ...options,
    clock,
    storage,
  })
  return { registry, clock, storage }
}

/** A valid registration for tests: 127.0.0.1:9000 with a ttl of 30 s. */
export function sampleRegistration(changes: Partial<RegistrationInput> = {}): Registration {
  return registrationSchema.parse({ host: "127.0.0.1", port: 9000, ...changes })
}
