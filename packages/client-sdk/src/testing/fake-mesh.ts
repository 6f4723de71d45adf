import { type Clock, systemClock, systemRandom } from "@meshwork/contract"
import { roundRobin } from "../balancers/index.ts"
import { type Client, createClientForPool } from "../client/client.ts"
import { type BreakerState, circuitBreaker as circuitBreakerOf } from "../breaker/circuit-breaker.ts"
import type { MeshClientOptions } from "../create-mesh.ts"
import { createPool } from "../pool/create-pool.ts"
import { createStaticSource } from "../sources/static-source.ts"
import { fakeInstance } from "./fake-instance.ts"
import { ScriptedTransport, type ScriptStep } from "./scripted-transport.ts"

export interface FakeMeshOptions {
  /** What happens to the attempts at each service, one step per attempt; the last step repeats. */
  services: Readonly<Record<string, readonly ScriptStep[]>>
  /** Instances of each service, at ports from 1 of 127.0.0.1. Default 3. */
  instances?: number
  /** Default: the clock of this machine; a `ManualClock` makes time stand still. */
  clock?: Clock
}

/** Services that answer by a script, without any discovery or socket. */
export interface FakeMesh {
  /** A client of a scripted service, with everything a real one does. RangeError for a service without a script. */
  client(service: string, options?: MeshClientOptions): Client
  /** The transport of a service, which remembers what was sent. RangeError for a service without a script. */
  transport(service: string): ScriptedTransport
  close(): Promise<void>
}

/** A mesh for tests of code that is given a `Mesh`, or its clients: real strategies, pools and deadlines over scripted answers. */
export function fakeMesh(options: FakeMeshOptions): FakeMesh {
  const { clock = systemClock, instances = 3 } = options
  const source = createStaticSource("fake")
  const transports = new Map<string, ScriptedTransport>()
  const clients = new Set<Client>()
  for (const [service, steps] of Object.entries(options.services)) {
    transports.set(service, new ScriptedTransport(clock, steps))
    const list = Array.from({ length: instances }, (_, index) => fakeInstance(service, index + 1))
    source.set(service, list, clock.now())
  }
  function transport(service: string): ScriptedTransport {
    const found = transports.get(service)
    if (found === undefined) throw new RangeError(`no script for the service ${service}, only for ${[...transports.keys()].join(", ")}`)
    return found
  }
  return {
    transport,
    client(service, own = {}) {
      const scripted = transport(service)
      const { balancer = roundRobin, whenAllFail, circuitBreaker = circuitBreakerOf(), random = systemRandom, slowStartMs = 0, ...rest } = own
      const { observer } = own
      const choices = { ...(whenAllFail ? { whenAllFail } : {}), ...(circuitBreaker ? { circuitBreaker } : {}), slowStartMs }
      const watched = observer?.breaker ? { onBreaker: (state: BreakerState) => observer.breaker?.(service, state) } : {}
      const pool = createPool({ service, source, balancer, clock, random, ...choices, ...watched })
      const client = createClientForPool({ clock, random, transport: scripted, ...rest, pool })
      clients.add(client)
      return client
    },
    async close() {
      await Promise.all([...clients].map((client) => client.close()))
      clients.clear()
    },
  }
}
