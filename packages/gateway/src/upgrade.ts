import type { IncomingMessage } from "node:http"
import type { Duplex } from "node:stream"
import { answerHead } from "./headers.ts"

/** What a caller may ask to go on with: RFC 9110, section 7.8. */
const protocol = /^[A-Za-z0-9][\w.+-]{0,31}(?:\/[\w.+-]{1,31})?$/
/** Other spellings of HTTP, and TLS: a tunnel would carry requests past the guard. */
const hidesRequests = /^(?:h2c?|h3|http|tls)(?:\/|$)/i

/** The one protocol that a request asks to switch to and that may be handed to a backend; undefined where the offer is to be ignored. */
export function askedProtocol({ headers, httpVersion, method }: IncomingMessage): string | undefined {
  const { upgrade = "" } = headers
  if (httpVersion !== "1.1") return undefined
  if (upgrade.toLowerCase() === "websocket") return "websocket"
  if (method !== "GET" || headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined) return undefined
  return protocol.test(upgrade) && !hidesRequests.test(upgrade) ? upgrade : undefined
}

/** Tells the caller that protocols were switched and joins the two sockets until either ends. */
export function joinUpgraded(
  caller: { socket: Duplex; head: Buffer; protocol: string },
  backend: Duplex,
  headers: readonly Buffer[],
  ended: () => void,
): void {
  const { socket, head, protocol } = caller
  const lines = ["HTTP/1.1 101 Switching Protocols", "connection: upgrade", `upgrade: ${protocol}`]
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
