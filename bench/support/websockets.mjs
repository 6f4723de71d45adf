import { randomBytes } from "node:crypto"
import { connect } from "node:net"

const size = 64

/** Opens `connections` WebSockets and lets `total` messages of 64 bytes be echoed, one at a time on each. Resolves like `sendRequests`. */
export async function sendMessages({ port, path, total, connections }) {
  const sockets = await Promise.all(Array.from({ length: connections }, () => upgrade(port, path)))
  // A client's frame: final, binary, masked; its echo comes unmasked and is four bytes shorter.
  const frame = Buffer.concat([Buffer.from([0x82, 0x80 | size]), randomBytes(4), randomBytes(size)])
  const echo = 2 + size
  const latencies = new Float64Array(total)
  let sent = 0
  const start = performance.now()
  const worker = (socket) =>
    new Promise((resolve, reject) => {
      let received = 0
      let slot = 0
      let begin = 0
      const next = () => {
        if (sent >= total) {
          resolve()
          return
        }
        slot = sent++
        received = 0
        begin = performance.now()
        socket.write(frame)
      }
      socket.on("error", reject)
      socket.on("close", () => reject(new Error("connection closed")))
      socket.on("data", (chunk) => {
        received += chunk.length
        if (received < echo) return
        latencies[slot] = performance.now() - begin
        next()
      })
      next()
    })
  await Promise.all(sockets.map(worker))
  const seconds = (performance.now() - start) / 1000
  for (const socket of sockets) socket.removeAllListeners("close").destroy()
  return { failures: 0, latencies: latencies.sort(), seconds }
}

function upgrade(port, path) {
  const key = randomBytes(16).toString("base64")
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () =>
      socket.write(
        `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
      ),
    )
    socket.setNoDelay(true).once("error", reject)
    let head = ""
    const read = (chunk) => {
      head += chunk.latin1Slice()
      if (!head.includes("\r\n\r\n")) return
      socket.off("data", read)
      if (head.startsWith("HTTP/1.1 101")) resolve(socket)
      else reject(new Error(`no WebSocket: ${head.slice(0, head.indexOf("\r\n"))}`))
    }
    socket.on("data", read)
  })
}
