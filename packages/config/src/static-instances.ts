import type { InstanceKey, RegistrationInput } from "@meshwork/contract"
import type { MeshConfig } from "./model.ts"

/** The static instances of a configuration, one entry each, as a registry wants them: leases for ever. */
export function staticInstances(config: Pick<MeshConfig, "services">): (InstanceKey & { registration: RegistrationInput })[] {
  return Object.entries(config.services).flatMap(([service, { instances }]) =>
    instances.map(({ id, ...registration }) => ({ service, id, registration: { ...registration, ttlSeconds: 0 } })),
  )
}
