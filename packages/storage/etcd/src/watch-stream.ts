import type { Clock } from "@meshwork/contract"
import type { IWatchRequest, IWatchResponse } from "etcd3"
import type { EtcdConnection } from "./connection.ts"
import { Inbox } from "./inbox.ts"
import { prefixEnd, type EtcdTree } from "./tree.ts"

const openLimitMs = 3000
/** Answers that may wait for the reader before the stream is held back. */
const maxWaiting = 256

/** What happens on a watch: an answer of etcd, a tick of the reader's own, or its end. */
export type WatchItem<T> = { answer: IWatchResponse } | { ended: string } | T

/** The raw stream of the driver, as far as it is used. */
interface RawStream {
  write(request: IWatchRequest): unknown
  on(event: "data", listener: (answer: IWatchResponse) => void): unknown
  on(event: "error", listener: (error: Error) => void): unknown
  on(event: "end" | "close", listener: () => void): unknown
  cancel(): void
  pause?(): void
  resume?(): void
}

/** One watch on a whole tree, at one host; what arrives goes into an inbox together with whatever else its reader wants to hear. */
export class WatchStream<T> {
  readonly inbox: Inbox<WatchItem<T>> = new Inbox()
  readonly #stream: RawStream
  #held = false

  constructor(stream: RawStream) {
    this.#stream = stream
  }

  /** Opens a watch from `revision` on. Never rejects: what goes wrong arrives as an end. */
  static async open<T>(connection: EtcdConnection, host: number, tree: EtcdTree, revision: number, clock: Clock): Promise<WatchStream<T>> {
    const raw = (await connection.client(host).watchClient.watch()) as unknown as RawStream
    const stream = new WatchStream<T>(raw)
    const slow = clock.timer(openLimitMs, () => stream.inbox.push({ ended: "it does not answer" })).unref()
    raw.on("data", (answer) => {
      slow.cancel()
      stream.inbox.push({ answer })
      stream.#hold(stream.inbox.size > maxWaiting)
    })
    raw.on("error", (error) => stream.inbox.push({ ended: error.message }))
    raw.on("end", () => stream.inbox.push({ ended: "etcd ended it" }))
    const own = Buffer.from(tree.epoch.slice(0, tree.epoch.lastIndexOf("/") + 1))
    // One range, so that all of it comes in one order; what lies between is left out by the reader.
    raw.write({ create_request: { key: own, range_end: Buffer.from(prefixEnd(tree.services)), start_revision: revision } })
    return stream
  }

  /** The next item; undefined once closed. */
  async next(): Promise<WatchItem<T> | undefined> {
    const item = await this.inbox.next()
    if (this.inbox.size < maxWaiting / 2) this.#hold(false)
    return item
  }

  /** Asks etcd how far it is. */
  askProgress(): void {
    this.#stream.write({ progress_request: {} })
  }

  /** Ends the watch. Idempotent. */
  close(): void {
    this.inbox.close()
    this.#stream.cancel()
  }

  #hold(held: boolean): void {
    if (held === this.#held) return
    this.#held = held
    if (held) this.#stream.pause?.()
    else this.#stream.resume?.()
  }
}
