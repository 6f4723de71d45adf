import { Readable } from "node:stream"
import { type Clock, MeshError, sleep } from "@meshwork/contract"
import type { Transport, TransportRequest, TransportResponse } from "../client/transport.ts"

/** What happens to one attempt. */
export interface ScriptStep {
  /** Status of the answer; absent with `fail` or `hang`. */
  status?: number
  headers?: Readonly<Record<string, string>>
  body?: string
  /** Time until it happens, ms. Default 0. */
  afterMs?: number
  /** `refused`: no connection; `reset`: closed before an answer. */
  fail?: "refused" | "reset"
  /** Never answers. */
  hang?: boolean
}

/** One request as the script saw it. */
export interface ScriptedSend {
  /** Time of the clock at which it was sent, ms. */
  at: number
  address: string
  method: string
  target: string
  headers: Readonly<Record<string, string | string[]>>
}

/** A transport that plays a script, one step per attempt, and remembers what was sent; the last step repeats. */
export class ScriptedTransport implements Transport {
  readonly sent: ScriptedSend[] = []
  /** Answers that were given up unread. */
  discarded = 0
  closed = false
  readonly #clock: Clock
  readonly #steps: readonly ScriptStep[]

  constructor(clock: Clock, steps: readonly ScriptStep[]) {
    this.#clock = clock
    this.#steps = steps
  }

  async send(request: TransportRequest): Promise<TransportResponse> {
    const step = this.#steps[Math.min(this.sent.length, this.#steps.length - 1)] ?? {}
    const { method, target, headers, endpoint } = request
    this.sent.push({ at: this.#clock.monotonic(), address: new URL(endpoint.origin).host, method, target, headers })
    const wait = step.hang ? Number.POSITIVE_INFINITY : (step.afterMs ?? 0)
    await sleep(this.#clock, Math.min(wait, request.timeoutMs), request.signal)
    if (request.signal?.aborted) throw new MeshError("aborted", "the caller gave up")
    if (wait > request.timeoutMs) throw new MeshError("attempt_timeout", `no answer within ${request.timeoutMs} ms`)
    if (step.fail === "refused") throw new MeshError("connection_failed", "refused")
    if (step.fail === "reset") throw new MeshError("upstream_reset", "reset")
    const bytes = Buffer.from(step.body ?? "")
    return {
      status: step.status ?? 200,
      headers: new Headers(step.headers),
      complete: true,
      body: Readable.from(bytes.length > 0 ? [bytes] : [], { objectMode: false }),
      bytes: () => Promise.resolve(bytes),
      discard: () => {
        this.discarded++
      },
    }
  }

  close(): Promise<void> {
    this.closed = true
    return Promise.resolve()
  }
}
