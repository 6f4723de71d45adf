import { formatHostPort, type Health, type InstanceDetail, keyText, type Override, type Probing } from "@meshwork/contract"
import { addressArgs, addressOf, addressOptions, type AddressOptions } from "../address.ts"
import { command, type CommandDefinition } from "../command.ts"
import type { CliContext } from "../context.ts"
import type { EtcdService } from "../etcd/etcd-services.ts"
import { formatOption, type OutputFormat } from "../options.ts"
import { openTarget, targetOptions, type TargetOptions } from "../service-target.ts"
import { printable } from "../table.ts"
import { isoTime } from "../time-text.ts"

interface GetOptions extends TargetOptions, AddressOptions {
  format: OutputFormat
}

/** `meshwork service get`. */
export const serviceGetCommand: CommandDefinition = command<GetOptions>({
  args: addressArgs,
  options: [...addressOptions(), ...targetOptions(), formatOption()],
  examples: ["service get orders 127.0.0.1:9001", "service get orders 127.0.0.1:9001 --format json"],
  async run(context, options, args) {
    const key = addressOf(options, args)
    const target = await openTarget(context, options)
    if (target.kind === "etcd") {
      const service = await target.services.get(key)
      const { location, ttl, record } = service
      write(context, options.format, { service: keyText(key), location, ttl, ...(record === undefined ? {} : { record }) }, treeDetails(service))
    } else {
      const instance = await target.connection.instance(key)
      write(context, options.format, instance, details(instance))
    }
    return undefined
  },
})

function write(context: CliContext, format: OutputFormat, result: unknown, rows: readonly [string, string][]): void {
  if (format === "json") context.stdout.write(`${JSON.stringify(result, null, 2)}\n`)
  else for (const [name, text] of rows) context.stdout.write(`${name.padEnd(12)}  ${printable(text)}\n`)
}

function treeDetails({ key, location, ttl, record }: EtcdService): [string, string][] {
  const rows: [string, string | undefined][] = [
    ["service", key.service],
    ["name", key.id],
    ["location", location],
    ["ttl", ttl === null ? "for ever" : record?.keeper === undefined ? `${ttl} s left` : `${ttl} s, kept by a discovery server`],
    ["override", record?.override && overrideText(record.override)],
    ["health", record && healthText(record.health)],
  ]
  return rows.filter((row): row is [string, string] => row[1] !== undefined)
}

/** Of a plain key in etcd nobody knows since when it is there. */
function healthText({ status, since, reason, by }: Health): string {
  return `${status}${since === 0 ? "" : ` since ${isoTime(since)}`}: ${reason} (by ${by})`
}

function overrideText(override: Override): string {
  return `${JSON.stringify({ weight: override.weight, state: override.state })} by ${override.by} at ${isoTime(override.at)}`
}

function probingRows({ by, last, nextAt, penalty, heldUntil, next }: Probing): [string, string | undefined][] {
  return [
    ["probed by", by],
    ["last probe", last && `${last.status} at ${isoTime(last.at)} in ${last.ms} ms${last.said === undefined ? "" : `: ${last.said}`}`],
    ["next probe", nextAt === undefined ? undefined : isoTime(nextAt)],
    [
      "flapping",
      penalty === undefined ? undefined : `penalty ${penalty}${heldUntil === undefined ? "" : `, held as failing until ${isoTime(heldUntil)}`}`,
    ],
    ["verdict", next],
  ]
}

function details(instance: InstanceDetail): [string, string][] {
  const { health, lease, override, load, check, probing } = instance
  const rows: [string, string | undefined][] = [
    ["service", instance.service],
    ["id", instance.id],
    ["address", `${instance.scheme}://${formatHostPort(instance.host, instance.port)}`],
    ["standing", `${instance.standing}: ${instance.why}`],
    ["state", instance.state],
    ["health", healthText(health)],
    ["availability", health.availability === undefined ? undefined : `${Math.round(health.availability * 100)} % of probes`],
    ["check", check && `${check.method}${check.path === undefined ? "" : ` ${check.path}`} every ${check.frequencySeconds} s`],
    ...(probing === undefined ? [] : probingRows(probing)),
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
        : `${lease.ttlSeconds} s, heard ${isoTime(lease.renewedAt)}, ends ${isoTime(lease.expiresAt)}`,
    ],
    ["override", override && overrideText(override)],
    ["load", load && JSON.stringify(load)],
    ["origin", instance.origin],
    ["registered", instance.registeredAt === 0 ? undefined : isoTime(instance.registeredAt)],
  ]
  return rows.filter((row): row is [string, string] => row[1] !== undefined)
}
