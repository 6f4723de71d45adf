// What a registry cannot do without, and nothing else: echoes PUTs, answers GETs with given bytes, writes given bytes to every stream it holds.
import { createServer } from "node:http"

const streams = new Set()
let list = Buffer.from("{}")

const server = createServer((request, response) => {
  if (request.url === "/watch") return openStream(response)
  const chunks = []
  request.on("data", (chunk) => chunks.push(chunk))
  request.on("end", () => {
    const body = Buffer.concat(chunks)
    if (request.url === "/list" && request.method === "PUT") list = body
    if (request.url === "/event") for (const socket of streams) socket.write(body)
    const answer = request.method === "GET" ? list : request.url === "/echo" ? body : Buffer.alloc(0)
    response.writeHead(200, { "content-type": "application/json", "content-length": answer.length }).end(answer)
  })
})

/** Headers, then chunks that come from outside as they are. */
function openStream(response) {
  response.writeHead(200, { "content-type": "text/event-stream" })
  response.flushHeaders()
  const { socket } = response
  streams.add(socket)
  socket.on("error", () => {})
  socket.on("close", () => streams.delete(socket))
}

server.listen(Number(process.env.PORT), "127.0.0.1", 4096)
