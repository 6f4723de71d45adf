import { MeshError, sleep } from "@meshwork/contract"
import { openAdmin } from "../admin-connection.ts"
import { command, type CommandDefinition } from "../command.ts"
import type { CliContext } from "../context.ts"
import { type GatewayCounts, type GatewaySample, ratesOf, readStats } from "../gateway-stats.ts"
import { adminOption, formatOption, type OutputFormat, parseUrls, textOption, VariableOption, wholeNumber } from "../options.ts"
import { openServer, type ServiceCounts } from "../server-connection.ts"
import { type Column, formatTable, printable } from "../table.ts"
import { whileRead } from "../until-signal.ts"

interface StatsOptions {
  gateway: string
  server?: string[]
  watch?: boolean
  interval: number
  format: OutputFormat
}

/** One reading: what is printed for people and for programs. */
interface Reading {
  table: string
  json: unknown
}

/** `meshwork stats`. */
export const statsCommand: CommandDefinition = command<StatsOptions>({
  options: [
    adminOption().conflicts("server"),
    new VariableOption("--server <urls>", "what discovery servers have instead, service by service", "MESHWORK_STATS_SERVER").argParser(parseUrls),
    textOption("--watch", "MESHWORK_WATCH", "go on until Ctrl-C, with rates"),
    new VariableOption("--interval <seconds>", "between two readings of a watch", "MESHWORK_INTERVAL").default(2).argParser(wholeNumber(1, 3600)),
    formatOption(),
  ],
  examples: ["stats", "stats --watch", "stats --gateway http://10.0.0.5:8009 --format json", "stats --server http://10.0.0.6:8008"],
  async run(context, options) {
    const read = options.server === undefined ? gatewayReader(context, options.gateway) : await serverReader(context, options.server)
    const first = await read()
    if (!options.watch) {
      context.stdout.write(options.format === "json" ? `${JSON.stringify(first.json, null, 2)}\n` : first.table)
      return undefined
    }
    return whileRead(context, (signal) => watch(context, { first, read, options, signal }))
  },
})

interface Watching {
  first: Reading
  read: () => Promise<Reading>
  options: StatsOptions
  signal: AbortSignal
}

async function watch(context: CliContext, { first, read, options, signal }: Watching): Promise<void> {
  const { stdout, stderr, clock } = context
  const live = stdout.columns !== undefined && options.format === "table"
  const show = ({ table, json }: Reading) =>
    stdout.write(options.format === "json" ? `${JSON.stringify(json)}\n` : live ? `\u001b[H\u001b[J${cutToHeight(table, stdout.rows)}` : `${table}\n`)
  let outage = false
  show(first)
  for (;;) {
    await sleep(clock, options.interval * 1000, signal)
    if (signal.aborted) return
    try {
      show(await read())
      outage = false
    } catch (error) {
      if (!MeshError.is(error)) throw error
      if (!outage) stderr.write(`${printable(`meshwork: ${error.message}; asking again`)}\n`)
      outage = true
    }
  }
}

/** The table without the rows that would push its head off the screen; the last line, which sums up, stays. */
export function cutToHeight(table: string, rows: number | undefined): string {
  const lines = table.trimEnd().split("\n")
  // The cursor needs a line of its own.
  const room = Math.max(4, (rows ?? Number.POSITIVE_INFINITY) - 1)
  if (lines.length <= room) return table
  const shown = lines.slice(0, room - 2)
  return `${[...shown, `… ${lines.length - 1 - shown.length} more`, lines.at(-1)].join("\n")}\n`
}

interface Row extends GatewayCounts {
  route: string
  service: string
  serving: string
  rates: { requests: number; errors: number } | undefined
}

const columns: readonly Column<Row>[] = [
  { title: "ROUTE", text: ({ route }) => route, shrinkTo: 10 },
  { title: "SERVICE", text: ({ service }) => service, shrinkTo: 10 },
  { title: "SERVING", text: ({ serving }) => serving },
  { title: "REQ/S", text: ({ rates }) => (rates === undefined ? "" : rates.requests.toFixed(1)) },
  { title: "ERR/S", text: ({ rates }) => (rates === undefined ? "" : rates.errors.toFixed(1)) },
  { title: "REQUESTS", text: ({ success, error }) => String(success + error) },
  { title: "ERRORS", text: ({ error }) => String(error) },
  { title: "AVERAGE MS", text: ({ averageMs }) => averageMs.toFixed(1) },
  { title: "P95", text: ({ p95Ms }) => p95Ms.toFixed(1) },
  { title: "P99", text: ({ p99Ms }) => p99Ms.toFixed(1) },
]
const rateTitles = ["REQ/S", "ERR/S"]

function gatewayReader(context: CliContext, url: string): () => Promise<Reading> {
  const admin = openAdmin(context, url)
  let before: GatewaySample | undefined
  return async () => {
    const sample = await readStats(admin, context.clock.monotonic())
    const rows = rowsOf(sample, before)
    const shown = columns.filter(({ title }) => before !== undefined || !rateTitles.includes(title))
    before = sample
    const { total } = sample
    const all = `${count(total.success + total.error, "request")}, ${count(total.error, "error")}, ${sample.inFlight} in flight at ${url}\n`
    return { table: `${rows.length === 0 ? "" : formatTable(shown, rows, context.stdout.columns)}${all}`, json: sample.raw }
  }
}

/** The busiest first in a watch, else in the order of the configuration. */
function rowsOf(sample: GatewaySample, before: GatewaySample | undefined): Row[] {
  const rows = [...sample.routes].map(([route, { instances, ...counts }]): Row => {
    const rates = ratesOf(counts, before?.routes.get(route), sample.at - (before?.at ?? sample.at))
    return { ...counts, route, rates, serving: instances === undefined ? "" : `${instances.serving}/${instances.all}` }
  })
  return before === undefined ? rows : rows.toSorted((a, b) => (b.rates?.requests ?? 0) - (a.rates?.requests ?? 0))
}

const serviceColumns: readonly Column<ServiceCounts>[] = [
  { title: "SERVICE", text: ({ name }) => name, shrinkTo: 10 },
  { title: "SERVING", text: ({ serving }) => String(serving) },
  { title: "INSTANCES", text: ({ instances }) => String(instances) },
  { title: "REVISION", text: ({ revision }) => String(revision) },
]

async function serverReader(context: CliContext, servers: readonly string[]): Promise<() => Promise<Reading>> {
  const connection = await openServer(context, servers)
  return async () => {
    const services = (await connection.counts()).toSorted((a, b) => (a.name < b.name ? -1 : 1))
    const table = services.length === 0 ? "" : formatTable(serviceColumns, services, context.stdout.columns)
    const sum = (of: (counts: ServiceCounts) => number) => services.reduce((total, counts) => total + of(counts), 0)
    const all = `${count(services.length, "service")}, ${sum(({ serving }) => serving)} of ${sum(({ instances }) => instances)} instances serving\n`
    return { table: `${table}${all}`, json: { services } }
  }
}

const count = (number: number, what: string) => `${number} ${what}${number === 1 ? "" : "s"}`
