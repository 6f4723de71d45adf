// A service instance for scenarios: registers itself over the SDK, answers with its own name. Settings by variables.
import { createServer } from "node:http"
import { createMesh } from "../../packages/client-sdk/dist/index.js"

const { MESHWORK_SERVER, SERVICE = "member", HOST = "127.0.0.1", PORT = "0", TTL = "3", ID, MESHWORK_TOKEN: token, CHECK } = process.env
const mesh = createMesh({ discovery: MESHWORK_SERVER, serviceName: SERVICE, ...(token ? { token } : {}) })
const server = createServer((request, response) => {
  request.resume()
  response.end(`${HOST}:${server.address().port}`)
})
await new Promise((resolve) => server.listen(Number(PORT), HOST, resolve))
const { port } = server.address()
const check = CHECK ? { check: { method: "http", path: "/health", frequencySeconds: Number(CHECK), timeoutSeconds: 1 } } : {}
await mesh.register({ service: SERVICE, host: HOST, port, ttlSeconds: Number(TTL), server, ...(ID ? { id: ID } : {}), ...check })
process.stdout.write(`${SERVICE} on ${HOST}:${port}\n`)
