// Answers health checks on many ports, so that no port of the prober runs out: `GET /ports` lists them.
import { createServer } from "node:http"

const ports = []
const handler = (request, response) => response.end(request.url === "/ports" ? JSON.stringify(ports) : "ok")
for (let n = 0; n < 16; n++) {
  const server = createServer(handler)
  await new Promise((resolve) => server.listen(0, "127.0.0.1", 4096, resolve))
  ports.push(server.address().port)
}
createServer(handler).listen(Number(process.env.PORT), "127.0.0.1")
