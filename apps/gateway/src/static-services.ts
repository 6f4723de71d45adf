import { createStaticSource, type StaticSource } from "@meshwork/client-sdk/pool"
import type { Clock, Instance, Random } from "@meshwork/contract"
import { createPoller, type PollerOptions, targetsOf, type Verdict, withVerdict } from "@meshwork/health-poller"

export interface StaticServicesOptions {
  /** Instances by service, as the configuration names them. */
  services: ReadonlyMap<string, readonly Instance[]>
  clock: Clock
  random: Random
  log: (level: "info" | "warn", message: string) => void
  /** How the certificates of https instances are judged. */
  tls?: PollerOptions["tls"]
}

/** The services of the configuration file, probed by the gateway itself as long as nobody else answers for them. */
export interface StaticServices {
  readonly source: StaticSource
  /** Begins or ends probing the instances of a service that declare a check. */
  poll(service: string, wanted: boolean): void
  /** Replaces services and instances; one that is the same as before keeps what is known of its health. */
  update(services: ReadonlyMap<string, readonly Instance[]>): void
  /** Idempotent. */
  close(): Promise<void>
}

/** Makes the static services known at once; those that declare a check serve from their first successful probe on. */
export function createStaticServices(options: StaticServicesOptions): StaticServices {
  const { clock, random, log, tls } = options
  const services = new Map<string, Map<string, Instance>>()
  const polled = new Set<string>()
  const source = createStaticSource("configuration")
  const poller = createPoller({
    clock,
    random,
    userAgent: "meshwork-gateway",
    onVerdict: conclude,
    tls,
    onTrouble: ({ present, message }) => log(present ? "warn" : "info", message),
  })

  function conclude(verdict: Verdict): void {
    const instances = services.get(verdict.service)
    const instance = instances?.get(verdict.id)
    if (instances === undefined || instance === undefined) return
    const next = withVerdict(instance, verdict, clock.now(), "gateway")
    instances.set(verdict.id, next)
    source.set(verdict.service, [...instances.values()], clock.now())
    if (next.standing === instance.standing) return
    log(next.standing === "serving" ? "info" : "warn", `${verdict.service} ${verdict.id} is ${next.standing}: ${next.why}`)
  }

  function replace(next: ReadonlyMap<string, readonly Instance[]>): void {
    for (const service of services.keys()) {
      if (next.has(service)) continue
      services.delete(service)
      source.set(service, [], clock.now())
    }
    for (const [service, instances] of next) {
      const before = services.get(service)
      services.set(service, new Map(instances.map((instance) => [instance.id, asBefore(instance, before?.get(instance.id))])))
      source.set(service, [...(services.get(service)?.values() ?? [])], clock.now())
    }
  }

  function sync(): void {
    poller.sync([...polled].flatMap((name) => targetsOf([...(services.get(name)?.values() ?? [])])))
  }

  replace(options.services)
  return {
    source,
    poll(service, wanted) {
      if (polled.has(service) === wanted) return
      if (wanted) polled.add(service)
      else polled.delete(service)
      sync()
    },
    update(next) {
      replace(next)
      sync()
    },
    close: () => poller.close(),
  }
}

/** An instance as the file has it now, with the verdict on it while it is the same one, probed in the same manner. */
function asBefore(instance: Instance, before: Instance | undefined): Instance {
  if (before === undefined || identity(before) !== identity(instance)) return instance
  const { health, standing, why, registeredAt } = before
  return { ...instance, health, standing, why, registeredAt }
}

const identity = ({ host, port, scheme, check }: Instance): string => JSON.stringify([host, port, scheme, check])
