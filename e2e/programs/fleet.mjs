// Many instances in one process for scenarios: each listens on a port of its own and keeps itself registered over the SDK. Settings by variables.
import { createServer } from "node:http"
import { createMesh } from "../../packages/client-sdk/dist/index.js"

const { MESHWORK_SERVER, SERVICES, COUNT, TTL, NAME } = process.env
const services = SERVICES.split(",")
const mesh = createMesh({ discovery: MESHWORK_SERVER })
await Promise.all(
  Array.from({ length: Number(COUNT) }, async (_, index) => {
    const server = createServer((_request, response) => response.end(NAME))
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
    const { port } = server.address()
    const service = services[index % services.length]
    const registration = await mesh.register({ service, id: `${NAME}-${index}`, host: "127.0.0.1", port, ttlSeconds: Number(TTL), signals: false })
    while (registration.state !== "registered") await new Promise((resolve) => setTimeout(resolve, 20))
  }),
)
process.stdout.write("all registered\n")
