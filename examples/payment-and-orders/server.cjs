// Says which container answered. Ends politely at SIGTERM; SIGUSR2 makes it sick, and well again.
const { createServer, get } = require("node:http")
const { hostname } = require("node:os")

const [name] = process.argv.slice(2)
let well = true
if (name === "--check") {
  get("http://127.0.0.1:8000/health", (response) => process.exit(response.statusCode === 200 ? 0 : 1)).on("error", () => process.exit(1))
} else {
  const server = createServer((request, response) => {
    if (request.url === "/health") response.statusCode = well ? 200 : 500
    response.end(`${name} ${hostname()} ${request.url}\n`)
  }).listen(8000)
  process.on("SIGUSR2", () => (well = !well))
  process.on("SIGTERM", () => {
    server.close(() => process.exit())
    server.closeIdleConnections()
  })
}
