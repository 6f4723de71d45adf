import type { Instance, WatchEvent } from "@meshwork/contract"

/** What a subscriber learns of one instance. */
export interface News {
  /** Unix ms. */
  at: number
  /** `present` when the watch began. */
  what: "present" | "added" | "changed" | "removed"
  service: string
  id: string
  why: string
  instance?: Instance
}

/** Turns the events of a watch into news of single instances: what is said twice, after a reconnection or by another server, is told once. */
export class InstanceNews {
  readonly #known = new Map<string, Map<string, { instance: Instance; text: string }>>()
  #synced = false

  of(event: WatchEvent): News[] {
    switch (event.event) {
      case "snapshot": {
        const { service, instances, at } = event.data
        const listed = new Set(instances.map(({ id }) => id))
        const gone = [...this.#service(service).keys()].filter((id) => !listed.has(id))
        return [
          ...this.#upserted(service, instances, at),
          ...this.#removed(
            service,
            gone.map((id) => ({ id, why: "not listed any more" })),
            at,
          ),
        ]
      }
      case "change": {
        const { service, upserted, removed, at } = event.data
        return [...this.#upserted(service, upserted, at), ...this.#removed(service, removed, at)]
      }
      case "synced": {
        this.#synced = true
        const { services, at } = event.data
        if (services === undefined) return []
        const gone = [...this.#known.keys()].filter((service) => !services.includes(service))
        return gone.flatMap((service) =>
          this.#removed(
            service,
            [...this.#service(service).keys()].map((id) => ({ id, why: "not listed any more" })),
            at,
          ),
        )
      }
      default:
        return []
    }
  }

  #service(name: string): Map<string, { instance: Instance; text: string }> {
    let service = this.#known.get(name)
    if (service === undefined) this.#known.set(name, (service = new Map()))
    return service
  }

  #upserted(name: string, instances: readonly Instance[], at: number): News[] {
    const service = this.#service(name)
    return instances.flatMap((instance): News[] => {
      const text = JSON.stringify(instance)
      const before = service.get(instance.id)
      if (before?.text === text) return []
      service.set(instance.id, { instance, text })
      const what = before !== undefined ? "changed" : this.#synced ? "added" : "present"
      return [{ at, what, service: name, id: instance.id, why: instance.why, instance }]
    })
  }

  #removed(name: string, removed: readonly { id: string; why: string }[], at: number): News[] {
    const service = this.#service(name)
    const news = removed.flatMap(({ id, why }): News[] => (service.delete(id) ? [{ at, what: "removed", service: name, id, why }] : []))
    if (service.size === 0) this.#known.delete(name)
    return news
  }
}
