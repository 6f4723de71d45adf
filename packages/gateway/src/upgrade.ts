import type { Duplex } from "node:stream"
import { answerHead } from "./headers.ts"

/** Tells the caller that protocols were switched and joins the two sockets until either ends. */
export function joinUpgraded(caller: { socket: Duplex; head: Buffer }, backend: Duplex, headers: readonly Buffer[], ended: () => void): void {
  const { socket, head } = caller
  const lines = ["HTTP/1.1 101 Switching Protocols", "connection: upgrade", "upgrade: websocket"]
  const flat = answerHead(headers, { trailers: false, length: false }).headers
  for (let index = 0; index < flat.length; index += 2) lines.push(`${flat[index]}: ${flat[index + 1]}`)
  socket.write(`${lines.join("\r\n")}\r\n\r\n`, "latin1")
  if (head.length > 0) backend.write(head)
  let open = true
  const end = (): void => {
    if (!open) return
    open = false
    socket.destroy()
    backend.destroy()
    ended()
  }
  for (const side of [socket, backend]) {
    side.on("error", end)
    side.on("close", end)
  }
  socket.pipe(backend)
  backend.pipe(socket)
}
