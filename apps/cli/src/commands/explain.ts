import { MeshError } from "@meshwork/contract"
import { openAdmin } from "../admin-connection.ts"
import { command, type CommandDefinition } from "../command.ts"
import type { CliContext } from "../context.ts"
import { adminOption, formatOption, type OutputFormat, textOption } from "../options.ts"
import { type Column, formatTable, printable } from "../table.ts"

interface ExplainOptions {
  gateway: string
  host?: string
  format: OutputFormat
}

/** What `GET /explain` of a gateway says, as far as it is shown. Everything can be absent. */
interface Explanation {
  route?: string | null
  why?: string
  considered?: { name?: string; service?: string; matches?: boolean; why?: string }[]
  instances?: { id?: string; address?: string; standing?: string; breaker?: string; weight?: number; in_flight?: number; why?: string }[]
  pick?: string | null
}

/** `meshwork explain`. */
export const explainCommand: CommandDefinition = command<ExplainOptions>({
  args: { "request...": 'what is asked for: a path or URL, with the method in front where it is not GET, such as "POST /orders"' },
  options: [adminOption(), textOption("--host <host>", "MESHWORK_HOST", "the Host it is asked for with"), formatOption()],
  examples: ['explain "GET /api/orders/7"', "explain POST http://shop.example/api/orders", "explain /api/orders --host shop.example --format json"],
  async run(context, options, args) {
    const { method, path, host = options.host } = requestOf(args)
    const admin = openAdmin(options.gateway, context.clock)
    const explanation = (await admin.get("/explain", { method, path, ...(host === undefined ? {} : { host }) }).catch((error: unknown) => {
      if (!MeshError.is(error) || error.code !== "not_found") throw error
      throw new MeshError("not_found", `the gateway at ${options.gateway} explains no requests: ${error.message}`, { cause: error })
    })) as Explanation
    if (options.format === "json") context.stdout.write(`${JSON.stringify(explanation, null, 2)}\n`)
    else write(context, `${method} ${path}`, explanation)
    return undefined
  },
})

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

type Considered = NonNullable<Explanation["considered"]>[number]
type Candidate = NonNullable<Explanation["instances"]>[number]

const routeColumns: readonly Column<Considered>[] = [
  { title: "ROUTE", text: ({ name }) => name ?? "", shrinkTo: 10 },
  { title: "SERVICE", text: ({ service }) => service ?? "", shrinkTo: 10 },
  { title: "MATCHES", text: ({ matches }) => (matches ? "yes" : "no") },
  { title: "WHY", text: ({ why }) => why ?? "", shrinkTo: 12 },
]

const candidateColumns: readonly Column<Candidate>[] = [
  { title: "INSTANCE", text: ({ id }) => id ?? "", shrinkTo: 12 },
  { title: "ADDRESS", text: ({ address }) => address ?? "", shrinkTo: 12 },
  { title: "STANDING", text: ({ standing }) => standing ?? "" },
  { title: "BREAKER", text: ({ breaker }) => breaker ?? "" },
  { title: "WEIGHT", text: ({ weight }) => String(weight ?? "") },
  { title: "IN FLIGHT", text: ({ in_flight }) => String(in_flight ?? "") },
  { title: "WHY", text: ({ why }) => why ?? "", shrinkTo: 12 },
]

function write({ stdout }: CliContext, request: string, { route, why, considered = [], instances = [], pick }: Explanation): void {
  stdout.write(`${printable(`${request} goes to ${route ?? "no route"}${why === undefined ? "" : `: ${why}`}`)}\n`)
  if (considered.length > 0) stdout.write(`\n${formatTable(routeColumns, considered, stdout.columns)}`)
  if (instances.length > 0) stdout.write(`\n${formatTable(candidateColumns, instances, stdout.columns)}`)
  if (route !== null && route !== undefined) stdout.write(`\n${printable(pick ? `${pick} would be asked now` : "no instance would be asked now")}\n`)
}
