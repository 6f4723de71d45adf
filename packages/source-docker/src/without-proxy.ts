import { networkInterfaces } from "node:os"
import type { Clock, Timer } from "@meshwork/contract"
import type { Container } from "./engine.ts"
import type { Reaches } from "./six-only.ts"

/** Answers that come within this time are used together, ms. */
const gatherMs = 2

export interface Place {
  host: string
  port: number
}

/** Addresses of this machine. */
export function localAddresses(): ReadonlySet<string> {
  return new Set(Object.values(networkInterfaces()).flatMap((addresses) => addresses?.map(({ address }) => address) ?? []))
}

/** Where a container is in a network of which this machine is the gateway; undefined where there is none. */
export function ownPlace({ networks }: Container, port: number, locals: ReadonlySet<string>): Place | undefined {
  const near = networks.find(({ address, gateway }) => address !== undefined && gateway !== undefined && locals.has(gateway))
  return near?.address === undefined ? undefined : { host: near.address, port }
}

/**
 * Containers that are called at their own address while Docker is away: they may outlive it, but the proxies that publish their ports on loopback
 * go with it. Only what answers there is called there.
 */
export class WithoutProxy {
  readonly #reaches: Reaches
  readonly #clock: Clock
  readonly #changed: () => void
  #answering = new Set<string>()
  #timer: Timer | undefined

  constructor(reaches: Reaches, clock: Clock, changed: () => void) {
    this.#reaches = reaches
    this.#clock = clock
    this.#changed = changed
  }

  has(id: string): boolean {
    return this.#answering.has(id)
  }

  /** Docker went away. */
  begin(places: ReadonlyMap<string, Place>): void {
    const answering = new Set<string>()
    this.#answering = answering
    for (const [id, { host, port }] of places) {
      void this.#reaches(host, port).then((reached) => {
        if (!reached || this.#answering !== answering) return
        answering.add(id)
        this.#timer ??= this.#clock.timer(gatherMs, () => {
          this.#timer = undefined
          this.#changed()
        })
      })
    }
  }

  /** Docker is back, or not looked for any more. */
  end(): void {
    this.#answering = new Set()
    this.#timer?.cancel()
    this.#timer = undefined
  }
}
