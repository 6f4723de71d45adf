import { type Clock, MeshError, sleep } from "@meshwork/contract"
import { Etcd3, type IOptions } from "etcd3"

/** How long all hosts together have for one call, ms. */
const callMs = 3000
const pauseMs = 150

type Policy = NonNullable<NonNullable<IOptions["faultHandling"]>["global"]>
type GrpcCredentials = NonNullable<IOptions["credentials"]>

/** Where etcd is, and how one gets in. */
export interface EtcdAccess {
  /** `host:port` each. */
  hosts: readonly string[]
  /** Uses TLS, with the system's certificates unless `rootCertificate` is given. Default: only where that is given. */
  tls?: boolean
  credentials?: GrpcCredentials
  auth?: { username: string; password: string }
}

/**
 * The hosts of one etcd, with fail-over by hand: a client each, its retries and breakers off. Calls reject with `storage_unavailable` when no host
 * answers within 3 s, and with what etcd says otherwise.
 */
export class EtcdConnection {
  readonly names: string
  readonly #clients: readonly Etcd3[]
  readonly #hosts: readonly string[]
  readonly #clock: Clock
  #preferred = 0
  #closed = false

  constructor({ hosts, tls = false, credentials, auth }: EtcdAccess, clock: Clock) {
    this.#clock = clock
    this.#hosts = hosts
    this.names = hosts.join(", ")
    const scheme = tls || credentials !== undefined ? "https" : "http"
    this.#clients = hosts.map(
      (host) =>
        new Etcd3({
          hosts: `${scheme}://${host}`,
          ...(credentials === undefined ? {} : { credentials }),
          ...(auth === undefined ? {} : { auth: { ...auth, callOptions: () => ({ deadline: clock.now() + callMs }) } }),
          faultHandling: { host: () => straight, global: straight },
          grpcOptions: {
            // No settings are looked for in DNS: where nobody answers such a question, it keeps the process from ending.
            "grpc.service_config_disable_resolution": 1,
            "grpc.max_receive_message_length": -1,
            "grpc.keepalive_time_ms": 5000,
            "grpc.keepalive_timeout_ms": 2500,
            "grpc.initial_reconnect_backoff_ms": 100,
            "grpc.max_reconnect_backoff_ms": 1000,
          },
        }),
    )
  }

  get size(): number {
    return this.#clients.length
  }

  /** Name of a host, counted round and round. */
  host(index: number): string {
    return this.#hosts[index % this.#hosts.length] ?? ""
  }

  /** Client of a host, counted round and round. */
  client(index: number): Etcd3 {
    return this.#clients[index % this.#clients.length] as Etcd3
  }

  /**
   * One call, at the host that answered last and then at the others, round and round until one answers. `work` is told whether it may have been done
   * already, and must give its deadline (Unix ms) to the client.
   */
  async call<T>(work: (client: Etcd3, options: { deadline: number }, again: boolean) => Promise<T>, limitMs: number = callMs): Promise<T> {
    const until = this.#clock.monotonic() + limitMs
    const failures = new Map<string, string>()
    for (let step = 0; ; step++) {
      if (this.#closed) throw new MeshError("storage_unavailable", "the etcd storage is closed")
      const index = (this.#preferred + step) % this.size
      const share = Math.max(1, until - this.#clock.monotonic()) / (this.size - (step % this.size))
      try {
        const result = await work(this.client(index), { deadline: this.#clock.now() + share }, step > 0)
        this.#preferred = index
        return result
      } catch (error) {
        if (!isUnreachable(error)) throw error
        failures.set(this.host(index), reasonOf(error))
      }
      if ((step + 1) % this.size !== 0) continue
      // All are asked again: one that restarts, or elects a leader, does not take long.
      if (until - this.#clock.monotonic() < pauseMs * 2) break
      await sleep(this.#clock, pauseMs)
    }
    this.#preferred = (this.#preferred + 1) % this.size
    throw new MeshError("storage_unavailable", `etcd does not answer: ${[...failures].map(([host, reason]) => `${host}: ${reason}`).join("; ")}`)
  }

  /** Closes every client; streams must have ended. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const client of this.#clients) client.close()
  }
}

/** Whether another host, or the same one later, may answer: nothing listens, it is too slow, or it has no leader. */
export function isUnreachable(error: unknown): boolean {
  const name = error instanceof Error ? error.constructor.name : ""
  return (
    /^GRPC(Unavailable|DeadlineExceeded|Cancelled|Unknown|Internal|Aborted)Error$/.test(name) && !/permission denied|invalid/.test(reasonOf(error))
  )
}

/** What etcd or gRPC says about a failed call, without the code in front. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const [text = message] = message.replace(/^(Error: )?\d+ [A-Z_]+: /, "").split("\n", 1)
  // What gRPC adds about its own workings helps nobody.
  return text
    .replace(/^No connection established\. Last error: (?:Error: )?(.*?)(?: \(\d{4}-[^)]*\))?\. Resolution note:.*$/, "$1")
    .replace(/^Deadline exceeded after [\d.]+s.*$/, "no answer in time")
}

const nothing = (): { dispose(): void } => ({ dispose: () => {} })

/** Calls through: what to do about a failure is decided here, not in the driver. */
const straight = {
  execute: async (work: (context: { signal: AbortSignal; attempt: number }) => unknown) => work({ signal: new AbortController().signal, attempt: 0 }),
  onSuccess: nothing,
  onFailure: nothing,
} as unknown as Policy
