import type { Socket } from "node:net"

/** How often within an idle limit a connection is looked at: a quiet one ends at most a quarter late. */
export const idleLooks = 4

/** What passes the connection of a caller, both ways. Looked at now and then, so that the bytes themselves cost nothing. */
export class Traffic {
  // node:http takes it away from a request that is over.
  readonly #socket: Socket
  #passed = 0
  #quietSince = 0

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** For how long nothing has passed, as far as earlier looks can tell, ms. */
  quietMs(now: number): number {
    const { bytesRead, bytesWritten } = this.#socket
    const passed = bytesRead + bytesWritten
    if (passed !== this.#passed) {
      this.#passed = passed
      this.#quietSince = now
    }
    return now - this.#quietSince
  }
}
