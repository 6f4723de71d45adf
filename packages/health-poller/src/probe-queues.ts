import type { PollEntry } from "./poll-entry.ts"
import { ProbeQueue } from "./probe-queue.ts"

/** Pings through the system under way at once, and lingering ones beside them. */
const processes = { slots: 50, lingering: 200 }

/** Two queues as one: what takes a process of its own, an ICMP echo, has bounds of its own, far lower, and delays nothing else. */
export class ProbeQueues {
  readonly #usual: ProbeQueue<PollEntry>
  readonly #processes: ProbeQueue<PollEntry>

  /** @param options as for a `ProbeQueue` */
  constructor({ slots, lingering, ...rest }: ConstructorParameters<typeof ProbeQueue<PollEntry>>[0]) {
    this.#usual = new ProbeQueue({ slots, lingering, ...rest })
    const fewer = { slots: Math.min(slots, processes.slots), lingering: Math.min(lingering, processes.lingering) }
    this.#processes = new ProbeQueue({ ...fewer, ...rest })
  }

  get underWay(): number {
    return this.#usual.underWay + this.#processes.underWay
  }

  get waiting(): number {
    return this.#usual.waiting + this.#processes.waiting
  }

  /** When whoever has waited longest was due, those that hang left out. */
  get oldestAt(): number {
    const at = (entry: PollEntry | undefined) => entry?.at ?? Number.POSITIVE_INFINITY
    return Math.min(at(this.#usual.first), at(this.#processes.first))
  }

  push(entry: PollEntry): void {
    const { method, icmp } = entry.target.check
    const queue = method === "ping" && icmp === true ? this.#processes : this.#usual
    queue.push(entry)
  }

  /** Takes a waiting entry out, whatever its check was when it came. */
  delete(entry: PollEntry): void {
    this.#usual.delete(entry)
    this.#processes.delete(entry)
  }

  age(now: number): void {
    this.#usual.age(now)
    this.#processes.age(now)
  }
}
