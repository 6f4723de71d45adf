// The least a streaming proxy on node:http and undici can do: what our own features cost is measured against it.
import { createServer } from "node:http"
import { Pool } from "undici"

const pool = new Pool(`http://127.0.0.1:${process.env.BACKEND}`)

class Handler {
  constructor(response) {
    this.response = response
  }
  onRequestStart() {}
  onResponseStarted() {}
  onResponseStart(controller, status) {
    const raw = controller.rawHeaders
    const headers = []
    for (let index = 0; index < raw.length; index++) headers.push(raw[index].latin1Slice())
    this.controller = controller
    this.response.writeHead(status, headers)
  }
  onResponseData(controller, chunk) {
    if (this.response.write(chunk)) return
    controller.pause()
    this.response.once("drain", () => controller.resume())
  }
  onResponseEnd() {
    this.response.end()
  }
  onResponseError() {
    this.response.destroy()
  }
}

createServer((request, response) => {
  const body = request.headers["content-length"] || request.headers["transfer-encoding"] ? request : null
  pool.dispatch({ path: request.url, method: request.method, headers: request.rawHeaders, body }, new Handler(response))
}).listen(Number(process.env.PORT), "127.0.0.1")
