import { localUrl, type LoadedConfig, staticInstances } from "@meshwork/config"
import { MeshError } from "@meshwork/contract"
import { command, type CommandDefinition } from "../command.ts"
import { accessTokens, readConfiguration } from "../configuration.ts"
import type { CliContext } from "../context.ts"
import { followConfiguration, hearReloads } from "../follow-configuration.ts"
import { createLog } from "../log.ts"
import { advertiseHostOption, configOption, dockerOption, dockerSetting, portOption, textOption } from "../options.ts"
import { type Closable, runUntilStopped } from "../run-until-stopped.ts"

interface UpOptions {
  config: string
  host?: string
  port?: number
  adminPort?: number
  discoveryPort?: number
  storage?: string
  tokenFile?: string
  docker?: boolean
  advertiseHost?: string
}

/** `meshwork up`. */
export const upCommand: CommandDefinition = command<UpOptions>({
  options: [
    configOption("meshwork.yaml"),
    textOption("--host <host>", "MESHWORK_GATEWAY_HOST", "address the gateway binds (default 127.0.0.1)"),
    portOption("--port", "MESHWORK_GATEWAY_PORT", "port of the gateway"),
    portOption("--admin-port", "MESHWORK_ADMIN_PORT", "port of the gateway's admin API"),
    portOption("--discovery-port", "MESHWORK_DISCOVERY_PORT", "port of the discovery server"),
    textOption(
      "--storage <spec>",
      "MESHWORK_STORAGE",
      "where the registry is kept: memory, file:PATH, sqlite:PATH, etcd://HOST:PORT/TREE or dynamodb://TABLE",
    ),
    textOption("--token-file <file>", "MESHWORK_TOKEN_FILE", "file with the token that changes need; or MESHWORK_TOKEN"),
    dockerOption("containers by their labels, in the registry and in the gateway"),
    advertiseHostOption(),
  ],
  examples: ["up -c meshwork.yaml", "up --port 9080 --storage memory"],
  async run(context, options) {
    const config = readConfiguration(context, options.config)
    return runUntilStopped(context, (running) => start(context, config, options, running))
  },
})

/** What a file calls its ports. */
const meshworkKeys = { discovery: "discovery.port", gateway: "gateway.port", admin: "gateway.adminPort" }
const serverpyKeys = { discovery: "meta-info.discovery_server_port", gateway: "meta-info.request_processor_port", admin: undefined }

/** Discovery first, then the gateway, which talks to it over loopback HTTP like everyone else. */
async function start(context: CliContext, config: LoadedConfig, options: UpOptions, running: (part: Closable) => void): Promise<void> {
  const reloads = hearReloads(context)
  running(reloads)
  const { storage = config.discovery.storage, discoveryPort = config.discovery.port, tokenFile } = options
  const { host: gatewayHost, port = config.gateway.port, adminPort = config.gateway.adminPort } = options
  const { host, insecure } = config.discovery
  const { advertiseHost = config.discovery.advertiseHost } = options
  const { env } = context
  const [{ runDiscovery }, { runGateway }] = await Promise.all([import("@meshwork/discovery-server"), import("@meshwork/gateway-server")])
  const keys = config.format === "serverpy" ? serverpyKeys : meshworkKeys
  const choices: readonly PortChoice[] = [
    { port: discoveryPort, words: `--discovery-port, MESHWORK_DISCOVERY_PORT or ${keys.discovery} in ${config.file}` },
    { port, words: `--port, MESHWORK_GATEWAY_PORT or ${keys.gateway} in ${config.file}` },
    {
      port: adminPort,
      words:
        keys.admin === undefined ? "--admin-port or MESHWORK_ADMIN_PORT" : `--admin-port, MESHWORK_ADMIN_PORT or ${keys.admin} in ${config.file}`,
    },
  ]

  refuseSharedPort(choices)
  try {
    const tokens = accessTokens(context, config, tokenFile)
    const discovery = await runDiscovery({
      host,
      port: discoveryPort,
      storage,
      insecure,
      tokens,
      instances: staticInstances(config),
      ...(config.discovery.name === undefined ? {} : { name: config.discovery.name }),
      docker: dockerSetting(options.docker, config.discovery.docker),
      ...(advertiseHost === undefined ? {} : { advertiseHost }),
      env,
      log: await createLog(context, "discovery"),
    })
    running(discovery)
    const own = localUrl(host, Number(new URL(discovery.url).port || 80))
    // The file may name this very server, by the port that an option has moved.
    const served = (url: string): string => (url === localUrl(host, config.discovery.port) ? own : url)
    const registered = config.gateway.discovery.map(served).includes(own)
    const log = await createLog(context, "gateway")
    const token = tokens.at(-1)?.token
    const withOptions = (each: LoadedConfig): LoadedConfig => ({
      ...each,
      gateway: {
        ...each.gateway,
        ...(gatewayHost === undefined ? {} : { host: gatewayHost }),
        port: options.port ?? each.gateway.port,
        adminPort: options.adminPort ?? each.gateway.adminPort,
        discovery: each.gateway.discovery.map(served),
        docker: dockerSetting(options.docker, each.gateway.docker),
      },
    })
    const gateway = await runGateway({
      ...withOptions(config),
      env,
      report: registered,
      registered,
      log,
      ...(token === undefined ? {} : { token }),
    })
    running(gateway)
    const apply = async (next: LoadedConfig): Promise<void> => {
      // Who is new is known before a route leads there.
      await discovery.applyInstances(staticInstances(next))
      await gateway.reload(withOptions(next))
      if (JSON.stringify(next.discovery) !== JSON.stringify(config.discovery)) log.warn("what the file says of discovery counts after a restart only")
    }
    running(await followConfiguration(context, { file: options.config, reloads, before: config, log, apply, onSignal: () => gateway.reopenLogs() }))
    context.stderr.write(summary(config, gateway, own, storage))
  } catch (error) {
    throw takenPort(error, choices)
  }
}

interface PortChoice {
  port: number
  /** Where it can be chosen. */
  words: string
}

function refuseSharedPort(choices: readonly PortChoice[]): void {
  for (const [index, { port, words }] of choices.entries()) {
    const other = choices.slice(index + 1).find((choice) => choice.port === port && port !== 0)
    if (other) throw new MeshError("invalid_config", `port ${port} is asked for twice: by ${words}, and by ${other.words}`)
  }
}

/** A taken port in the words of this command, which has three of them. */
function takenPort(error: unknown, choices: readonly PortChoice[]): unknown {
  const cause = MeshError.is(error) ? (error.cause as { code?: string; port?: number } | undefined) : undefined
  const choice = choices.find(({ port }) => port !== 0 && port === cause?.port)
  if (cause?.code !== "EADDRINUSE" || choice === undefined) return error
  return new MeshError("invalid_config", `port ${choice.port} is taken; choose another one with ${choice.words}`, { cause })
}

function summary(config: LoadedConfig, gateway: { url: string; adminUrl: string }, discovery: string, storage: string): string {
  // What follows the scheme of a storage may hold credentials; only paths are shown.
  const kept = /^(sqlite|file):/.test(storage) ? storage : storage.split(":")[0]
  const { routes, services } = config
  return `meshwork is up
  gateway    ${gateway.url}  (${count(routes.length, "route")}, ${count(Object.keys(services).length, "static service")})
  admin      ${gateway.adminUrl}
  discovery  ${discovery}  (${kept})
`
}

const count = (number: number, what: string) => `${number} ${what}${number === 1 ? "" : "s"}`
