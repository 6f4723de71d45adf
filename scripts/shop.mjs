// `npm run shop -- payment`: one more instance of a service of the example shop, in the foreground.
const [name] = process.argv.slice(2)
if (name !== "payment" && name !== "orders") {
  process.stderr.write("usage: npm run shop -- payment|orders\n")
  process.exit(2)
}
process.env.MESHWORK_SERVER ??= `http://127.0.0.1:${process.env.MESHWORK_DISCOVERY_PORT ?? "8008"}`
await import(`../examples/shop/dist/${name}.js`)
