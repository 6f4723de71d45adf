import { connect } from "node:net"

/**
 * Sends `total` requests over `connections` keep-alive connections, one at a time on each.
 * Answers must carry Content-Length or end as chunked. Resolves to failures and latencies in ms.
 */
export async function sendRequests({ port, path, total, connections }) {
  const head = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
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
        socket.write(head)
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
        if (!received.startsWith("HTTP/1.1 200")) failures++
        latencies[slot] = performance.now() - begin
        next()
      })
    })
  const start = performance.now()
  await Promise.all(Array.from({ length: connections }, worker))
  return { failures, latencies: latencies.sort(), seconds: (performance.now() - start) / 1000 }
}

export function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]
}
