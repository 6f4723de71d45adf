import { type Clock, type GatewayReport, MeshError } from "@meshwork/contract"

/** How long a report counts without a newer one of the same gateway, ms. */
const silenceMs = 30_000
const maxGateways = 1000
const maxServices = 2000

/** What gateways say they have counted: the latest report of each, while it is fresh. In memory, bounded. */
export class GatewayReports {
  readonly #clock: Clock
  /** Longest unheard first. */
  readonly #latest = new Map<string, { report: GatewayReport; heardAt: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Keeps a report in place of the gateway's last one. Throws `limit_exceeded` for one gateway, or one service, too many. */
  accept(report: GatewayReport): void {
    const names = Object.keys(report.services).length
    if (names > maxServices) throw new MeshError("limit_exceeded", `a report may name ${maxServices} services at most, not ${names}`)
    this.#dropSilent()
    if (!this.#latest.delete(report.gateway) && this.#latest.size >= maxGateways) {
      throw new MeshError("limit_exceeded", `the limit of ${maxGateways} reporting gateways is reached`)
    }
    this.#latest.set(report.gateway, { report, heardAt: this.#clock.monotonic() })
  }

  /** The fresh reports, by the names of their gateways. */
  current(): GatewayReport[] {
    this.#dropSilent()
    return [...this.#latest.values()].map(({ report }) => report).sort((a, b) => (a.gateway < b.gateway ? -1 : 1))
  }

  #dropSilent(): void {
    const now = this.#clock.monotonic()
    for (const [gateway, { heardAt }] of this.#latest) {
      if (now - heardAt < silenceMs) return
      this.#latest.delete(gateway)
    }
  }
}
