import { connect } from "node:net"

/** Many raw HTTP connections that stay open and look for a mark in what comes. */
export class Watchers {
  #port
  #sockets = []
  #mark
  #missing = 0
  #done
  bytes = 0

  constructor(port) {
    this.#port = port
  }

  /** Opens a stream for each path, a few at once; resolves when each has got something. */
  async open(paths) {
    const waiting = [...paths]
    const one = async () => {
      for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) await this.#open(path)
    }
    await Promise.all(Array.from({ length: 50 }, one))
  }

  /** Begins to look for a text; the promise tells when every stream has got it, on this process's monotonic clock. */
  expect(mark) {
    this.#mark = Buffer.from(mark)
    this.#missing = this.#sockets.length
    for (const entry of this.#sockets) entry.found = false
    return new Promise((resolve) => (this.#done = resolve))
  }

  close() {
    for (const { socket } of this.#sockets) socket.destroy()
  }

  #open(path) {
    return new Promise((resolve, reject) => {
      const socket = connect(this.#port, "127.0.0.1")
      const entry = { socket, found: true, rest: Buffer.alloc(0) }
      this.#sockets.push(entry)
      socket.on("error", reject)
      socket.on("close", () => reject(new Error(`the stream ${path} ended`)))
      socket.once("data", resolve)
      socket.on("data", (chunk) => this.#look(entry, chunk))
      socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${this.#port}\r\n\r\n`)
    })
  }

  #look(entry, chunk) {
    this.bytes += chunk.length
    if (entry.found) return
    // The mark may lie across two chunks.
    const text = entry.rest.length === 0 ? chunk : Buffer.concat([entry.rest, chunk])
    entry.rest = text.subarray(-this.#mark.length)
    if (!text.includes(this.#mark)) return
    entry.found = true
    entry.rest = Buffer.alloc(0)
    if (--this.#missing === 0) this.#done(performance.now())
  }
}
