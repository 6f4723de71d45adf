// `npm run bench [NAME…] [--quick]`: benchmarks beside peers in one run. Reports ratios; asserts nothing.
const names = ["gateway", "client", "poller", "registry"]
const chosen = process.argv.slice(2).filter((argument) => argument !== "--quick")
const quick = process.argv.includes("--quick")
const unknown = chosen.filter((name) => !names.includes(name))
if (unknown.length > 0) {
  process.stderr.write(`no benchmark named ${unknown.join(", ")}; there is: ${names.join(", ")}\n`)
  process.exit(2)
}
for (const name of chosen.length > 0 ? chosen : names) await (await import(`./${name}.mjs`)).run({ quick })
