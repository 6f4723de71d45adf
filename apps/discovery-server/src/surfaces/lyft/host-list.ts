import type { Instance } from "@meshwork/contract"
import type { CheckIn, Registry } from "@meshwork/registry-core"
import { checkInText, hostTags, isHost } from "./host.ts"

/** How much an instance's own word counts where several records name one address. */
const weightOfOrigin: Partial<Record<Instance["origin"], number>> = { config: -2, docker: -1 }

/** JSON of a host without the instant of its last check-in: made once per change of the instance. */
const parts = new WeakMap<Instance, readonly [before: string, after: string]>()

/** JSON of the hosts of a service. */
export function hostsOfService(registry: Registry, service: string): string {
  return listJson(registry.checkIns(service))
}

/** JSON of the hosts of a repository, over all services. */
export function hostsOfRepo(registry: Registry, repo: string): string {
  if (repo === "") return "[]"
  const services = new Set(registry.findByRepo(repo).map(({ service }) => service))
  const checkIns = [...services].flatMap((service) => registry.checkIns(service))
  return listJson(checkIns.filter(({ instance }) => instance.repo === repo))
}

function listJson(checkIns: readonly CheckIn[]): string {
  const hosts = checkIns.filter(({ instance }) => isHost(instance)).sort(compare)
  const distinct = hosts.filter((host, index) => index === 0 || !sameAddress(host.instance, hosts[index - 1]?.instance))
  return `[${distinct.map(hostJson).join(",")}]`
}

/** By ip, then port; of several records with one address the one that counts comes first. */
function compare(a: CheckIn, b: CheckIn): number {
  const [left, right] = [a.instance, b.instance]
  if (left.host !== right.host) return left.host < right.host ? -1 : 1
  if (left.port !== right.port) return left.port - right.port
  if (left.service !== right.service) return left.service < right.service ? -1 : 1
  return (weightOfOrigin[right.origin] ?? 0) - (weightOfOrigin[left.origin] ?? 0) || b.at - a.at
}

function sameAddress(a: Instance, b: Instance | undefined): boolean {
  return a.host === b?.host && a.port === b.port && a.service === b.service
}

function hostJson({ instance, at }: CheckIn): string {
  let known = parts.get(instance)
  if (known === undefined) parts.set(instance, (known = hostParts(instance)))
  const checkedIn = instance.ttlSeconds === 0 ? instance.registeredAt : at
  return `${known[0]}${checkInText(checkedIn)}${known[1]}`
}

function hostParts(instance: Instance): readonly [string, string] {
  const { host, port, revision = "", service, repo = "" } = instance
  const rest = JSON.stringify({ port, revision, service, service_repo_name: repo, tags: hostTags(instance) })
  return [`{"ip_address":${JSON.stringify(host)},"last_check_in":"`, `",${rest.slice(1)}`]
}
