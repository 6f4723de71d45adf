import { MeshError } from "@meshwork/contract"
import type { ExplainedRequest, Explanation, InstanceVerdict, RouteVerdict } from "@meshwork/gateway-server"
import { another, openAdmin } from "../admin-connection.ts"
import { command, type CommandDefinition } from "../command.ts"
import { readConfiguration } from "../configuration.ts"
import type { CliContext } from "../context.ts"
import { adminOption, configOption, formatOption, type OutputFormat, textOption } from "../options.ts"
import { type Column, formatTable, printable } from "../table.ts"

interface ExplainOptions {
  gateway: string
  /** A file in place of a gateway. */
  config?: string
  host?: string
  format: OutputFormat
}

/** `meshwork explain`. */
export const explainCommand: CommandDefinition = command<ExplainOptions>({
  args: { "request...": 'what is asked for: a path or URL, with the method in front where it is not GET, such as "POST /orders"' },
  options: [adminOption(), configOption(), textOption("--host <host>", "MESHWORK_HOST", "the Host it is asked for with"), formatOption()],
  examples: [
    'explain "GET /api/orders/7"',
    "explain POST http://shop.example/api/orders",
    "explain /api/orders --host shop.example --format json",
    "explain /api/orders -c meshwork.yaml",
  ],
  async run(context, options, args) {
    const { method, path, host = options.host } = requestOf(args)
    const request = { method, path, ...(host === undefined ? {} : { host }) }
    const explanation = options.config === undefined ? await ask(context, options.gateway, request) : await askFile(context, options.config, request)
    if (options.format === "json") context.stdout.write(`${JSON.stringify(explanation, null, 2)}\n`)
    else write(context, explanation)
    return undefined
  },
})

/** Asks a gateway that runs. */
async function ask(context: CliContext, url: string, request: ExplainedRequest): Promise<Explanation> {
  const answer = await openAdmin(context, url)
    .get("/explain", { ...request })
    .catch((error: unknown) => {
      if (!MeshError.is(error) || error.code !== "not_found") throw error
      throw new MeshError("not_found", `the gateway at ${url} explains no requests: ${error.message}`, { cause: error })
    })
  if (typeof answer["outcome"] !== "string" || !Array.isArray(answer["considered"])) throw another(url, 200)
  return answer as unknown as Explanation
}

/** Asks a configuration: which instances there are only a gateway that runs can tell. */
async function askFile(context: CliContext, file: string, request: ExplainedRequest): Promise<Explanation> {
  const config = readConfiguration(context, file)
  const { explainConfig } = await import("@meshwork/gateway-server")
  return explainConfig(config, request)
}

/** Method, path and host of what was typed. */
export function requestOf(args: readonly string[]): { method: string; path: string; host?: string } {
  const words = args.join(" ").trim().split(/\s+/)
  const [method, target] = words.length === 1 ? ["GET", words[0]] : words
  if (words.length > 2 || method === undefined || target === undefined || !/^[!#$%&'*+.^_`|~\w-]+$/.test(method)) {
    throw new MeshError(
      "invalid_config",
      `a request is a path with or without a method, such as "GET /orders", found ${JSON.stringify(args.join(" "))}`,
    )
  }
  if (target.startsWith("/")) return { method: method.toUpperCase(), path: target }
  if (!/^https?:\/\//i.test(target) || !URL.canParse(target)) {
    throw new MeshError("invalid_config", `what is asked for begins with '/' or is a URL, found ${JSON.stringify(target)}`)
  }
  // The path as it was typed: a URL would resolve its dots.
  const [, host = "", path = ""] = /^https?:\/\/([^/?#]*)([^#]*)/i.exec(target) ?? []
  return { method: method.toUpperCase(), path: path.startsWith("/") ? path : `/${path}`, host }
}

const routeColumns: readonly Column<RouteVerdict>[] = [
  { title: "ROUTE", text: ({ route }) => route, shrinkTo: 10 },
  { title: "SERVICE", text: ({ service }) => service, shrinkTo: 10 },
  { title: "WINS", text: ({ wins }) => (wins ? "yes" : "no") },
  { title: "WHY", text: ({ why }) => why, shrinkTo: 12 },
]

const instanceColumns: readonly Column<InstanceVerdict>[] = [
  { title: "INSTANCE", text: ({ id }) => id, shrinkTo: 12 },
  { title: "ADDRESS", text: ({ address }) => address, shrinkTo: 12 },
  { title: "USED", text: ({ eligible }) => (eligible ? "yes" : "no") },
  { title: "STANDING", text: ({ standing }) => standing },
  { title: "BREAKER", text: ({ breaker }) => breaker ?? "" },
  { title: "WEIGHT", text: ({ weight }) => String(weight) },
  { title: "IN FLIGHT", text: ({ in_flight }) => String(in_flight) },
  { title: "LATENCY", text: ({ latency_ms }) => (latency_ms === 0 ? "" : `${latency_ms} ms`) },
  { title: "WHY", text: ({ why }) => why, shrinkTo: 12 },
]

function write({ stdout }: CliContext, explanation: Explanation): void {
  const { method, host, path, route, upstream_path: upstream, considered, others, instances, outcome } = explanation
  stdout.write(`${printable(`${method} ${path} (Host: ${host}): ${outcome}`)}\n`)
  if (route !== null) stdout.write(`${printable(`route ${route}${upstream === null || upstream === path ? "" : `, as ${upstream}`}`)}\n`)
  if (considered.length > 0) stdout.write(`\n${formatTable(routeColumns, considered, stdout.columns)}`)
  if (others > 0) stdout.write(`${others} other route${others === 1 ? " has" : "s have"} another path\n`)
  if (instances !== null && instances.length > 0) stdout.write(`\n${formatTable(instanceColumns, instances, stdout.columns)}`)
}
