// Answers every request with 1 KB.
import { createServer } from "node:http"

const body = Buffer.alloc(1024, "x")
const headers = { "content-type": "text/plain", "content-length": body.length }
createServer((request, response) => {
  request.resume()
  response.writeHead(200, headers).end(body)
}).listen(Number(process.env.PORT), "127.0.0.1")
