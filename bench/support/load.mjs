import { connect } from "node:net"

/**
 * Sends `total` requests over `connections` keep-alive connections, one at a time on each: GETs of a path, or what `requestOf` makes of a number.
 * Answers must carry Content-Length or end as chunked. Resolves to failures and latencies in ms.
 */
export async function sendRequests({ port, path, total, connections, requestOf }) {
  const get = requestBytes(port, { path })
  const latencies = new Float64Array(total)
  let sent = 0
  let failures = 0
  const worker = () =>
    new Promise((resolve, reject) => {
      const socket = connect(port, "127.0.0.1")
      socket.setNoDelay(true)
      let received = ""
      let begin = 0
      let slot = 0
      const next = () => {
        if (sent >= total) return resolve(socket.destroy())
        slot = sent++
        received = ""
        begin = performance.now()
        socket.write(requestOf === undefined ? get : requestOf(slot))
      }
      socket.on("connect", next)
      socket.on("error", reject)
      socket.on("close", () => (sent >= total ? resolve() : reject(new Error("connection closed"))))
      socket.on("data", (chunk) => {
        received += chunk.toString("latin1")
        const end = received.indexOf("\r\n\r\n")
        if (end < 0) return
        const length = /\r\ncontent-length: (\d+)/i.exec(received)
        if (length ? received.length < end + 4 + Number(length[1]) : !received.endsWith("\r\n0\r\n\r\n")) return
        if (!received.startsWith("HTTP/1.1 2")) failures++
        latencies[slot] = performance.now() - begin
        next()
      })
    })
  const start = performance.now()
  await Promise.all(Array.from({ length: connections }, worker))
  return { failures, latencies: latencies.sort(), seconds: (performance.now() - start) / 1000 }
}

/** A request as it goes over the wire; a body is JSON. */
export function requestBytes(port, { method = "GET", path, body }) {
  const head = `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n`
  if (body === undefined) return Buffer.from(`${head}\r\n`)
  const json = JSON.stringify(body)
  return Buffer.from(`${head}Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(json)}\r\n\r\n${json}`)
}

export function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]
}
