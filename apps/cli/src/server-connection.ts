import {
  type Instance,
  type InstanceDetail,
  type InstanceKey,
  type InstancePatch,
  type JournalEntry,
  MeshError,
  type RegistrationInput,
} from "@meshwork/contract"
import { connectionReason } from "./connection-reason.ts"
import type { CliContext } from "./context.ts"
import { withProgress } from "./progress.ts"

const maxConcurrentReads = 16

/** How many instances a service has. */
export interface ServiceCounts {
  name: string
  instances: number
  serving: number
  revision: number
}

/** What commands ask of discovery servers. Everything rejects with errors that name the servers. */
export interface ServerConnection {
  /** Names of all services. */
  services(): Promise<string[]>
  /** All services with their counts. */
  counts(): Promise<ServiceCounts[]>
  /** The instances of these services, in their order. */
  instances(services: readonly string[]): Promise<Instance[]>
  instance(key: InstanceKey): Promise<InstanceDetail>
  register(key: InstanceKey, registration: RegistrationInput): Promise<Instance>
  /** Whether it was registered. */
  deregister(key: InstanceKey): Promise<boolean>
  /** Overrides weight or state of an instance; null takes the override back. */
  patch(key: InstanceKey, patch: InstancePatch): Promise<Instance>
  /** What happened, newest first. */
  journal(filter: { service?: string; id?: string; limit: number }): Promise<JournalEntry[]>
}

/** Talks to the first of these servers that answers; `token` goes along where one is given. */
export async function openServer(context: CliContext, urls: readonly string[], token?: string): Promise<ServerConnection> {
  const { createDiscoveryApi } = await import("@meshwork/client-sdk/discovery")
  const plain = createDiscoveryApi({ urls, ...(token === undefined ? {} : { token }) })
  const asking = `asking ${urls.join(", ")}`
  const api: Pick<typeof plain, "call"> = { call: (name, input) => withProgress(context, asking, () => plain.call(name, input)) }
  const explain = (error: unknown): never => {
    throw explained(urls.join(", "), error)
  }
  const counts = async () => (await api.call("listServices", {}).catch(explain)).body.services
  return {
    services: async () => (await counts()).map(({ name }) => name),
    counts,
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
    async register(params, body) {
      return (await api.call("register", { params, body }).catch(explain)).body.instance
    },
    async deregister(params) {
      const gone = (error: unknown) => (MeshError.is(error) && error.code === "not_found" ? false : explain(error))
      return api.call("deregister", { params, query: {} }).then(() => true, gone)
    },
    async patch(params, body) {
      return (await api.call("patchInstance", { params, query: {}, body }).catch(explain)).body.instance
    },
    async journal(query) {
      return (await api.call("journal", { query }).catch(explain)).body.entries
    },
  }
}

/** An error in the words of a command. A gateway speaks of errors in the same form, and knows none of these routes. */
function explained(servers: string, error: unknown): unknown {
  if (!MeshError.is(error)) return error
  if (error.code === "no_route") {
    return new MeshError("no_route", `${servers} is a gateway, not a discovery server: ${error.message}`, { cause: error })
  }
  const reason = error.code === "connection_failed" ? connectionReason(error.cause ?? {}, "NODE_EXTRA_CA_CERTS") : undefined
  if (reason !== undefined) return new MeshError("connection_failed", `no discovery server at ${servers}: ${reason}`, { cause: error })
  if (error.code !== "unauthorized") return error
  return new MeshError("unauthorized", `${servers} refused: ${error.message}; give one with --token-file, --token or MESHWORK_TOKEN`, {
    cause: error,
  })
}
