import { keyText, registrationSchema, type InstanceKey, type RegistrationInput } from "@meshwork/contract"
import type { Registry } from "@meshwork/registry-core"

/** An instance that the configuration names. */
export interface StaticInstance extends InstanceKey {
  registration: RegistrationInput
}

const by = "configuration"

/**
 * Makes the registry's records of origin `config` equal to the configuration: registers what it names, for ever, and removes
 * what it no longer names. What registered itself under the same id is left alone. Rejects as the registry does.
 */
export async function applyStaticServices(registry: Registry, instances: readonly StaticInstance[]): Promise<void> {
  const wanted = new Set(instances.map(keyText))
  const gone = registry
    .services()
    .flatMap(({ name }) => registry.list(name).instances)
    .filter((instance) => instance.origin === "config" && !wanted.has(keyText(instance)))
  for (const { service, id } of gone) await registry.deregister({ service, id }, { by, why: "no longer in the configuration" })
  await Promise.all(
    instances.map(async ({ service, id, registration }) => {
      const known = registry.get({ service, id })
      if (known !== undefined && known.origin !== "config") return
      await registry.register({ service, id }, { ...registrationSchema.parse(registration), ttlSeconds: 0 }, { origin: "config", by })
    }),
  )
}
