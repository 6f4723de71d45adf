// `npm run shop -- payment`: one more instance of a service of the example shop, in the foreground.
import { parseArgs } from "node:util"

const usage = "usage: npm run shop -- payment|orders [--discovery-port 8008]\n"
const { name, port } = readArguments()
process.env.MESHWORK_SERVER = port === undefined ? (process.env.MESHWORK_SERVER ?? "http://127.0.0.1:8008") : `http://127.0.0.1:${port}`
await import(`../examples/shop/dist/${name}.js`)

function readArguments() {
  try {
    const { values, positionals } = parseArgs({ options: { "discovery-port": { type: "string" } }, allowPositionals: true })
    const [service] = positionals
    if (positionals.length !== 1 || (service !== "payment" && service !== "orders")) throw new Error("which service?")
    return { name: service, port: values["discovery-port"] ?? process.env.MESHWORK_DISCOVERY_PORT }
  } catch (error) {
    process.stderr.write(`${error.message}\n${usage}`)
    return process.exit(2)
  }
}
