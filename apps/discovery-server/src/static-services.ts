import { keyText, MeshError, registrationSchema, type InstanceKey, type RegistrationInput } from "@meshwork/contract"
import type { Registry } from "@meshwork/registry-core"

/** An instance that the configuration names. */
export interface StaticInstance extends InstanceKey {
  registration: RegistrationInput
}

const by = "configuration"

/** The registry's records of origin `config`, as the configuration of this server has them. */
export interface StaticServices {
  /**
   * Registers what the configuration names, for ever, and removes what it no longer names. What registered itself under the same id is left alone.
   * Rejects as the registry does.
   */
  apply(instances: readonly StaticInstance[]): Promise<void>
  /** Idempotent. */
  close(): void
}

/**
 * Keeps the records of a configuration. Where several servers share a storage each may have a file of its own: there only a server that is alone removes
 * what it did not declare itself, once it knows that it is.
 */
export function createStaticServices(registry: Registry, self: string, log: (message: string) => void): StaticServices {
  let declared = new Set<string>()
  let forget = () => {}

  const announced = () => registry.servers().some(({ id }) => id === self)
  const isAlone = () => registry.servers().every(({ id }) => id === self)
  const remove = async (which: (key: string) => boolean) => {
    const records = registry.services().flatMap(({ name }) => registry.list(name).instances)
    const gone = records.filter((instance) => instance.origin === "config" && which(keyText(instance)))
    for (const { service, id } of gone) {
      await registry.deregister({ service, id }, { by, why: "no longer in the configuration" }).catch((error: unknown) => {
        // Somebody else was quicker.
        if (MeshError.from(error).code !== "not_found") throw error
      })
    }
  }
  const removeOnceAlone = () => {
    forget()
    forget = registry.onDivided(() => {
      if (!announced()) return
      forget()
      if (!isAlone()) return
      remove((key) => !declared.has(key)).catch((error: unknown) =>
        log(`instances that the configuration no longer names are still there: ${MeshError.from(error).message}`),
      )
    })
  }

  return {
    async apply(instances) {
      const before = declared
      declared = new Set(instances.map(keyText))
      const gone = (key: string) => !declared.has(key)
      if (announced()) await remove(isAlone() ? gone : (key) => gone(key) && before.has(key))
      else removeOnceAlone()
      await Promise.all(
        instances.map(async ({ service, id, registration }) => {
          const known = registry.get({ service, id })
          if (known !== undefined && known.origin !== "config") return
          await registry.register({ service, id }, { ...registrationSchema.parse(registration), ttlSeconds: 0 }, { origin: "config", by })
        }),
      )
    },
    close: () => forget(),
  }
}
