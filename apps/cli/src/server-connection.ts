import type { Instance, InstanceDetail, InstanceKey } from "@meshwork/contract"

const maxConcurrentReads = 16

/** What commands read from discovery servers. Everything rejects with errors that name the servers. */
export interface ServerConnection {
  /** Names of all services. */
  services(): Promise<string[]>
  /** The instances of these services, in their order. */
  instances(services: readonly string[]): Promise<Instance[]>
  instance(key: InstanceKey): Promise<InstanceDetail>
}

/** Talks to the first of these servers that answers. */
export async function openServer(urls: readonly string[]): Promise<ServerConnection> {
  const { createDiscoveryApi } = await import("@meshwork/client-sdk/discovery")
  const api = createDiscoveryApi({ urls })
  return {
    async services() {
      const { body } = await api.call("listServices", {})
      return body.services.map((service) => service.name)
    },
    async instances(services) {
      const lists: Instance[][] = []
      let next = 0
      const read = async () => {
        for (let index = next++; index < services.length; index = next++) {
          const { body } = await api.call("listInstances", { params: { service: services[index] ?? "" }, query: {} })
          lists[index] = body?.instances ?? []
        }
      }
      await Promise.all(Array.from({ length: Math.min(maxConcurrentReads, services.length) }, read))
      return lists.flat()
    },
    async instance(params) {
      return (await api.call("getInstance", { params })).body
    },
  }
}
