// `npm run bench -- [NAME…] [OPTION…]`: benchmarks beside peers in one run. Reports ratios; asserts nothing. Options go to every benchmark named.
const names = ["gateway", "overload", "client", "poller", "registry"]
const words = process.argv.slice(2)
const options = words.findIndex((word) => word.startsWith("-"))
const chosen = options < 0 ? words : words.slice(0, options)
const unknown = chosen.filter((name) => !names.includes(name))
if (unknown.length > 0) {
  process.stderr.write(`no benchmark named ${unknown.join(", ")}; there is: ${names.join(", ")}\n`)
  process.exit(2)
}
for (const name of chosen.length > 0 ? chosen : names) await (await import(`./${name}.mjs`)).run(options < 0 ? [] : words.slice(options))
