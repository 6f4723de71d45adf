import { formatHostPort, type InstanceDetail } from "@meshwork/contract"
import { command, type CommandDefinition } from "../command.ts"
import { formatOption, type OutputFormat, serverOption } from "../options.ts"
import { openServer } from "../server-connection.ts"
import { printable } from "../table.ts"

interface GetOptions {
  server: string[]
  format: OutputFormat
}

/** `meshwork service get`. */
export const serviceGetCommand: CommandDefinition = command<GetOptions>({
  path: ["service", "get"],
  summary: "show everything about one instance",
  args: { service: "name of the service", id: "id of the instance, host:port unless it chose another one" },
  options: [serverOption(), formatOption()],
  async run(context, { server, format }, [service = "", id = ""]) {
    const connection = await openServer(server)
    const instance = await connection.instance({ service, id })
    if (format === "json") context.stdout.write(`${JSON.stringify(instance, null, 2)}\n`)
    else for (const [name, text] of details(instance)) context.stdout.write(`${name.padEnd(12)}  ${printable(text)}\n`)
    return undefined
  },
})

function details(instance: InstanceDetail): [string, string][] {
  const { health, lease, override, load, check } = instance
  const rows: [string, string | undefined][] = [
    ["service", instance.service],
    ["id", instance.id],
    ["address", `${instance.scheme}://${formatHostPort(instance.host, instance.port)}`],
    ["standing", `${instance.standing}: ${instance.why}`],
    ["state", instance.state],
    ["health", `${health.status} since ${time(health.since)}: ${health.reason} (by ${health.by})`],
    ["availability", health.availability === undefined ? undefined : `${Math.round(health.availability * 100)} % of probes`],
    ["check", check && `${check.method}${check.path === undefined ? "" : ` ${check.path}`} every ${check.frequencySeconds} s`],
    ["weight", String(instance.weight ?? 1)],
    ["priority", instance.priority],
    ["zone", instance.zone],
    ["region", instance.region],
    ["revision", instance.revision],
    ["repo", instance.repo],
    ["canary", instance.canary === undefined ? undefined : String(instance.canary)],
    ["tags", Object.keys(instance.tags).length === 0 ? undefined : JSON.stringify(instance.tags)],
    [
      "lease",
      lease === null || lease.expiresAt === null
        ? "for ever"
        : `${lease.ttlSeconds} s, heard ${time(lease.renewedAt)}, ends ${time(lease.expiresAt)}`,
    ],
    ["override", override && `${JSON.stringify({ weight: override.weight, state: override.state })} by ${override.by} at ${time(override.at)}`],
    ["load", load && JSON.stringify(load)],
    ["origin", instance.origin],
    ["registered", time(instance.registeredAt)],
  ]
  return rows.filter((row): row is [string, string] => row[1] !== undefined)
}

function time(unixMs: number): string {
  const date = new Date(unixMs)
  return Number.isNaN(date.getTime()) ? String(unixMs) : date.toISOString()
}
