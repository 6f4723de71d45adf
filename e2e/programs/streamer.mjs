// A backend for scenarios with large bodies: counts what it receives, and sends what it is asked for.
import { createServer } from "node:http"

const chunk = Buffer.alloc(65_536)
const server = createServer((request, response) => {
  const wanted = Number(new URL(request.url, "http://x").searchParams.get("bytes") ?? 0)
  let received = 0
  request.on("data", (data) => (received += data.length))
  request.on("end", () => {
    if (wanted === 0) return response.end(String(received))
    response.writeHead(200, { "content-length": wanted })
    let left = wanted
    const more = () => {
      while (left > 0) {
        const part = left < chunk.length ? chunk.subarray(0, left) : chunk
        left -= part.length
        if (!response.write(part)) return void response.once("drain", more)
      }
      response.end()
    }
    more()
  })
})
server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => process.stdout.write(`streamer on 127.0.0.1:${server.address().port}\n`))
