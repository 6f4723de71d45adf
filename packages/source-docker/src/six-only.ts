import { connect } from "node:net"
import type { Clock } from "@meshwork/contract"
import type { Container } from "./engine.ts"

const patienceMs = 1000

/** Says whether something accepts connections there. Never rejects. */
export type Reaches = (host: string, port: number) => Promise<boolean>

/** Tries a TCP connection for a second. */
export function reachesOver(clock: Clock): Reaches {
  return (host, port) =>
    new Promise((resolve) => {
      const socket = connect({ host, port })
      const end = (reached: boolean): void => {
        timer.cancel()
        socket.destroy()
        resolve(reached)
      }
      const timer = clock.timer(patienceMs, () => end(false)).unref()
      socket.on("connect", () => end(true)).on("error", () => end(false))
    })
}

/** Ports of this container that are published on `::`, but on no IPv4 address of the same inner port. */
export function portsOnSixOnly({ ports }: Pick<Container, "ports">): number[] {
  const four = new Set(ports.filter(({ ip, publicPort }) => publicPort !== undefined && ip !== "::").map(({ privatePort }) => privatePort))
  return ports.flatMap(({ ip, type, privatePort, publicPort }) =>
    type === "tcp" && ip === "::" && publicPort !== undefined && !four.has(privatePort) ? [publicPort] : [],
  )
}

/**
 * Ports published on `::` alone, which are called at `::1` unless nothing answers there: engines differ in whether such a port takes IPv4 too, and
 * another container may have the same number there. Each is tried once for as long as it is published.
 */
export class SixOnly {
  readonly #reaches: Reaches
  readonly #changed: () => void
  readonly #tried = new Set<number>()
  readonly #silent = new Set<number>()

  constructor(reaches: Reaches, changed: () => void) {
    this.#reaches = reaches
    this.#changed = changed
  }

  has(port: number): boolean {
    return !this.#silent.has(port)
  }

  sync(containers: readonly Container[]): void {
    const wanted = new Set(containers.flatMap(portsOnSixOnly))
    for (const known of [this.#tried, this.#silent]) for (const port of known) if (!wanted.has(port)) known.delete(port)
    for (const port of wanted) if (!this.#tried.has(port)) void this.#try(port)
  }

  async #try(port: number): Promise<void> {
    this.#tried.add(port)
    if ((await this.#reaches("::1", port)) || !this.#tried.has(port)) return
    this.#silent.add(port)
    this.#changed()
  }
}
