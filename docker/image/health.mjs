// The HEALTHCHECK: whether the app of this image is ready to be used. Ports are those of the variables; a base image need not have curl.
import { get } from "node:http"
import { ownAddress } from "./address.mjs"

const { env } = process
const within = (host) => (host === undefined || host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host)
const shop = () => [env.HOST ?? ownAddress, env.PORT ?? 3000, "/health"]
const [host, port, path] = {
  discovery: () => [within(env.MESHWORK_DISCOVERY_HOST), env.MESHWORK_DISCOVERY_PORT || env.PORT || 8008, "/ready"],
  gateway: () => [within(env.MESHWORK_ADMIN_HOST), env.MESHWORK_ADMIN_PORT || 8009, "/ready"],
  orders: shop,
  payment: shop,
  cli: () => process.exit(0),
}[env.MESHWORK_APP]()

get({ host, port, path, timeout: 2500, agent: false }, (response) => {
  response.setEncoding("utf8")
  let text = ""
  response.on("data", (chunk) => (text += chunk))
  response.on("end", () => {
    process.stdout.write(`${response.statusCode} ${text.slice(0, 500)}\n`)
    process.exit(response.statusCode === 200 ? 0 : 1)
  })
})
  .on("timeout", function () {
    this.destroy(new Error("no answer within 2.5 s"))
  })
  .on("error", (error) => {
    process.stdout.write(`${host}:${port}: ${error.message}\n`)
    process.exit(1)
  })
