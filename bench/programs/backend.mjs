// Answers every request with as many bytes as its query says (1 KB unless told), after DELAY_MS where that is set, and echoes what WebSockets send.
import { createServer } from "node:http"
import { WebSocketServer } from "ws"

const answers = new Map()
const delayMs = Number(process.env.DELAY_MS ?? 0)

function answerOf(url) {
  const size = Number(/[?&]bytes=(\d+)/.exec(url)?.[1] ?? 1024)
  let answer = answers.get(size)
  if (answer === undefined)
    answers.set(size, (answer = { body: Buffer.alloc(size, "x"), headers: { "content-type": "text/plain", "content-length": size } }))
  return answer
}

// Connections stay: a proxy that finds one closed must not pay for the habit of the backend.
const server = createServer({ keepAliveTimeout: 120_000 }, (request, response) => {
  request.resume()
  const { body, headers } = answerOf(request.url)
  const answer = () => response.writeHead(200, headers).end(body)
  if (delayMs > 0) setTimeout(answer, delayMs)
  else answer()
}).listen(Number(process.env.PORT), "127.0.0.1", 4096)
new WebSocketServer({ server, perMessageDeflate: false }).on("connection", (socket) => socket.on("message", (message) => socket.send(message)))
