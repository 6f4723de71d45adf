// The proxies that Node teams use today, each set up as its documentation shows for one backend with kept connections.
import { Agent, createServer } from "node:http"

const { PORT, VARIANT, BACKEND } = process.env
const port = Number(PORT)
const target = `http://127.0.0.1:${BACKEND}`
const agent = () => new Agent({ keepAlive: true, maxSockets: 1024 })

/** http-proxy and those that took over its interface. */
function serve(proxy) {
  const failed = (error, request, response) => response.destroy?.(error)
  createServer((request, response) => Promise.resolve(proxy.web(request, response)).catch((error) => failed(error, request, response)))
    .on("upgrade", (request, socket, head) => proxy.ws(request, socket, head))
    .listen(port, "127.0.0.1", 4096)
}

const variants = {
  "http-proxy": async () => serve((await import("http-proxy")).default.createProxyServer({ target, agent: agent(), ws: true })),
  "http-proxy-3": async () => serve((await import("http-proxy-3")).createProxyServer({ target, agent: agent(), ws: true })),
  httpxy: async () => {
    const proxy = (await import("httpxy")).createProxyServer({ target, agent: agent(), ws: true })
    serve({ web: (request, response) => proxy.web(request, response), ws: (request, socket, head) => proxy.ws(request, socket, {}, head) })
  },
  "fast-gateway": async () => {
    const { default: gateway } = await import("fast-gateway")
    await gateway({ routes: [{ prefix: "/api", prefixRewrite: "/api", target }] }).start(port)
  },
  "@fastify/http-proxy": async () => {
    const [{ default: fastify }, { default: proxy }] = await Promise.all([import("fastify"), import("@fastify/http-proxy")])
    const app = fastify()
    await app.register(proxy, { upstream: target, websocket: true, undici: { connections: 128, pipelining: 1 } })
    await app.listen({ port, host: "127.0.0.1" })
  },
}

await variants[VARIANT]()
