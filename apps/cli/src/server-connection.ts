import { type Instance, type InstanceDetail, type InstanceKey, type InstancePatch, type JournalEntry, MeshError } from "@meshwork/contract"

const maxConcurrentReads = 16

/** What commands ask of discovery servers. Everything rejects with errors that name the servers. */
export interface ServerConnection {
  /** Names of all services. */
  services(): Promise<string[]>
  /** The instances of these services, in their order. */
  instances(services: readonly string[]): Promise<Instance[]>
  instance(key: InstanceKey): Promise<InstanceDetail>
  /** Overrides weight or state of an instance; null takes the override back. */
  patch(key: InstanceKey, patch: InstancePatch): Promise<Instance>
  /** What happened, newest first. */
  journal(filter: { service?: string; id?: string; limit: number }): Promise<JournalEntry[]>
}

/** Talks to the first of these servers that answers; `token` goes along where one is given. */
export async function openServer(urls: readonly string[], token?: string): Promise<ServerConnection> {
  const { createDiscoveryApi } = await import("@meshwork/client-sdk/discovery")
  const api = createDiscoveryApi({ urls, ...(token === undefined ? {} : { token }) })
  // A gateway speaks of errors in the same form, and knows none of these routes.
  const explain = (error: unknown): never => {
    if (!MeshError.is(error) || error.code !== "no_route") throw error
    throw new MeshError("no_route", `${urls.join(", ")} is a gateway, not a discovery server: ${error.message}`, { cause: error })
  }
  return {
    async services() {
      const { body } = await api.call("listServices", {}).catch(explain)
      return body.services.map((service) => service.name)
    },
    async instances(services) {
      const lists: Instance[][] = []
      let next = 0
      const read = async () => {
        for (let index = next++; index < services.length; index = next++) {
          const { body } = await api.call("listInstances", { params: { service: services[index] ?? "" }, query: {} }).catch(explain)
          lists[index] = body?.instances ?? []
        }
      }
      await Promise.all(Array.from({ length: Math.min(maxConcurrentReads, services.length) }, read))
      return lists.flat()
    },
    async instance(params) {
      return (await api.call("getInstance", { params }).catch(explain)).body
    },
    async patch(params, body) {
      return (await api.call("patchInstance", { params, query: {}, body }).catch(explain)).body.instance
    },
    async journal(query) {
      return (await api.call("journal", { query }).catch(explain)).body.entries
    },
  }
}
