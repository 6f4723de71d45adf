import { type InstanceKey, keyText, MeshError, parseHostPort } from "@meshwork/contract"
import { addressOf, addressOptions, type AddressOptions } from "../address.ts"
import { command, type CommandDefinition } from "../command.ts"
import type { CliContext } from "../context.ts"
import { keepRegistered } from "../keep-registered.ts"
import { formatOption, type OutputFormat, textOption, VariableOption, wholeNumber } from "../options.ts"
import { openTarget, type Target, targetOptions, type TargetOptions } from "../service-target.ts"
import { untilSignal } from "../until-signal.ts"

const longestTtl = 86_400
const seconds = (flags: string, text: string, least: number, ...variables: [string, ...string[]]) =>
  new VariableOption(flags, text, ...variables).argParser(wholeNumber(least, longestTtl))

interface RegisterOptions extends TargetOptions, AddressOptions {
  serviceLocation?: string
  ttl?: number
  refreshEvery?: number
  keep?: boolean
  format: OutputFormat
}

/** `meshwork service register`. */
export const serviceRegisterCommand: CommandDefinition = command<RegisterOptions>({
  options: [
    ...addressOptions(),
    new VariableOption("--service-location <host:port>", "where it serves", "MESHWORK_SERVICE_LOCATION", "EMPUSA_SERVICE_LOCATION"),
    seconds("--ttl <seconds>", "how long it holds without being renewed; 0 or none = for ever", 0, "MESHWORK_SERVICE_TTL", "EMPUSA_SERVICE_TTL"),
    seconds(
      "--refresh-every <seconds>",
      "stay, renew it every so often, and unregister at the end",
      1,
      "MESHWORK_REFRESH_EVERY",
      "EMPUSA_SERVICE_REFRESH_EVERY",
      "EMPUSA_REFRESH_EVERY",
    ),
    textOption("--keep", "MESHWORK_KEEP", "with --refresh-every: leave it to its ttl at the end"),
    ...targetOptions(),
    formatOption(),
  ],
  examples: [
    "service register --service-type orders --service-name o1 --service-location 10.0.0.7:9001",
    "service register --service-type orders --service-name o1 --service-location 10.0.0.7:9001 --ttl 30 --refresh-every 10",
    "service register --etcd-endpoint 10.0.0.2:2379 --tree-root /mesh --service-type orders --service-name o1 --service-location 10.0.0.7:9001",
  ],
  async run(context, options) {
    const key = addressOf(options)
    const location = options.serviceLocation
    if (location === undefined) throw new MeshError("invalid_config", "missing required option '--service-location' (EMPUSA_SERVICE_LOCATION)")
    const { ttl = 0, refreshEvery, keep = false } = options
    if (refreshEvery !== undefined && ttl !== 0 && refreshEvery >= ttl) {
      throw new MeshError("invalid_config", `--refresh-every ${refreshEvery} must be less than --ttl ${ttl}, or it would end in between`)
    }
    if (keep && refreshEvery === undefined) throw new MeshError("invalid_config", "--keep goes with --refresh-every")
    const what = `${key.id} (${key.service})`
    const registered = async (): Promise<Held> => {
      const held = await register(context, await openTarget(context, options), { key, location, ttl })
      if (options.format === "json") context.stdout.write(`${JSON.stringify(held.result, null, 2)}\n`)
      context.stderr.write(`service ${what} registered\n`)
      return held
    }
    if (refreshEvery === undefined) {
      await registered()
      return undefined
    }
    // Signals are heard before anything is written: one that comes in between must not leave behind what was just registered.
    return untilSignal(context, async (signal) => {
      const held = await registered()
      const kept = { what, everyMs: refreshEvery * 1000, put: held.refresh, ...(keep ? {} : { remove: () => withdraw(context, what, held) }) }
      await keepRegistered(context, kept, signal)
    })
  },
})

interface Held {
  /** What is printed as JSON. */
  result: unknown
  refresh: () => Promise<void>
  /** False when the name belongs to somebody else by now. */
  withdraw: () => Promise<boolean>
}

async function register(context: CliContext, target: Target, wanted: { key: InstanceKey; location: string; ttl: number }): Promise<Held> {
  const { key, location, ttl } = wanted
  const address = parseHostPort(location)
  const refused = `the location ${JSON.stringify(location.slice(0, 80))} is not in HOST:PORT format, such as 10.0.0.7:9001`
  if (target.kind === "etcd") {
    if (!/^[^\u0000-\u001f\u007f]{1,1024}$/.test(location)) throw new MeshError("invalid_config", refused)
    // Empusa keeps any text, and so do its users.
    if (address === undefined) context.stderr.write(`warning: ${refused}: it is kept, and nothing is sent there\n`)
    const held = await target.services.register(key, location, ttl)
    return { result: { service: keyText(key), location, ttl: ttl === 0 ? null : ttl }, ...held }
  }
  if (address === undefined) throw new MeshError("invalid_config", refused)
  if (ttl !== 0 && ttl < 3) throw new MeshError("invalid_config", `a discovery server takes a ttl of 3 seconds or more, or 0 for ever, found ${ttl}`)
  const { connection } = target
  const put = () => connection.register(key, { ...address, ttlSeconds: ttl })
  return {
    result: await put(),
    refresh: async () => void (await put()),
    withdraw: async () => {
      await connection.deregister(key)
      return true
    },
  }
}

async function withdraw(context: CliContext, what: string, held: Held): Promise<void> {
  const gone = await held.withdraw().catch((error: unknown) => {
    if (!MeshError.is(error)) throw error
    throw new MeshError(error.code, `service ${what} could not be unregistered: ${error.message}`, { cause: error })
  })
  const text = gone ? "unregistered" : "belongs to somebody else by now, and stays registered"
  context.stderr.write(`service ${what} ${text}\n`)
}
