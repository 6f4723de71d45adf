import { connect } from "node:net"

/**
 * Sends `total` requests over `connections` keep-alive connections, one at a time on each: GETs of a path, or what `requestOf` makes of a number.
 * Answers must carry Content-Length or end as chunked. With `rate` (requests per second) they are due at fixed times, and a latency counts from when its request was due, however late it was sent.
 * Resolves to the number of answers other than 2xx, the sorted latencies in ms, and the time it took.
 */
export async function sendRequests({ port, path, total, connections, rate, requestOf }) {
  const get = requestOf === undefined ? requestBytes(port, { path }) : undefined
  const latencies = new Float64Array(total)
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port)))
  let sent = 0
  let failures = 0
  const start = performance.now()
  const worker = (socket) =>
    new Promise((resolve, reject) => {
      const answer = new AnswerReader()
      let due = 0
      let slot = 0
      const next = () => {
        if (sent >= total) {
          resolve()
          return
        }
        slot = sent++
        due = rate === undefined ? performance.now() : start + (slot / rate) * 1000
        const early = due - performance.now()
        if (early > 0.5) setTimeout(send, early)
        else send()
      }
      const send = () => {
        due = Math.min(due, performance.now())
        socket.write(get ?? requestOf(slot))
      }
      socket.on("error", reject)
      socket.on("close", () => reject(new Error("connection closed")))
      socket.on("data", (chunk) => {
        if (!answer.read(chunk)) return
        if (answer.status < 200 || answer.status > 299) failures++
        latencies[slot] = performance.now() - due
        answer.reset()
        next()
      })
      next()
    })
  await Promise.all(sockets.map(worker))
  const seconds = (performance.now() - start) / 1000
  for (const socket of sockets) socket.removeAllListeners("close").destroy()
  return { failures, latencies: latencies.sort(), seconds }
}

/** A request as it goes over the wire; a body is bytes, or becomes JSON. */
export function requestBytes(port, { method = "GET", path, body }) {
  const head = `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n`
  if (body === undefined) return Buffer.from(`${head}\r\n`)
  const [type, bytes] = Buffer.isBuffer(body) ? ["application/octet-stream", body] : ["application/json", Buffer.from(JSON.stringify(body))]
  return Buffer.concat([Buffer.from(`${head}Content-Type: ${type}\r\nContent-Length: ${bytes.length}\r\n\r\n`), bytes])
}

function open(port) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => resolve(socket))
    socket.setNoDelay(true).once("error", reject)
  })
}

/** Counts the bytes of one answer instead of keeping them. */
class AnswerReader {
  constructor() {
    this.reset()
  }

  reset() {
    this.status = 0
    this.head = ""
    /** Bytes of the body that are still to come; -1 for chunked. */
    this.left = 0
    this.tail = ""
  }

  /** Whether the answer is complete now. */
  read(chunk) {
    if (this.status !== 0) return this.body(chunk)
    this.head += chunk.latin1Slice()
    const end = this.head.indexOf("\r\n\r\n")
    if (end < 0) return false
    this.status = Number(this.head.slice(9, 12))
    const length = /\r\ncontent-length: *(\d+)/i.exec(this.head)
    this.left = length === null ? -1 : Number(length[1])
    const rest = this.head.length - end - 4
    return this.body(chunk.subarray(chunk.length - rest))
  }

  body(chunk) {
    if (this.left >= 0) return (this.left -= chunk.length) <= 0
    this.tail = (this.tail + chunk.subarray(-5).latin1Slice()).slice(-5)
    return this.tail === "0\r\n\r\n"
  }
}

/** The middle one of several numbers. */
export function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]
}
