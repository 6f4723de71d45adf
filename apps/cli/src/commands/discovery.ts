import { staticInstances } from "@meshwork/config"
import { command, type CommandDefinition } from "../command.ts"
import { accessTokens, readConfiguration } from "../configuration.ts"
import { createLog } from "../log.ts"
import { advertiseHostOption, configOption, dockerOption, dockerSetting, portOption, textOption } from "../options.ts"
import { runUntilStopped } from "../run-until-stopped.ts"

interface DiscoveryOptions {
  config?: string
  host?: string
  port?: number
  storage?: string
  tokenFile?: string
  insecure?: boolean
  docker?: boolean
  advertiseHost?: string
}

/** `meshwork discovery`. */
export const discoveryCommand: CommandDefinition = command<DiscoveryOptions>({
  options: [
    configOption(),
    textOption("--host <host>", "MESHWORK_DISCOVERY_HOST", "address to bind (default 127.0.0.1)"),
    portOption("--port", "MESHWORK_DISCOVERY_PORT", "port to listen on (default 8008)", "PORT"),
    textOption(
      "--storage <spec>",
      "MESHWORK_STORAGE",
      "memory, file:PATH, sqlite:PATH, etcd://HOST:PORT/TREE or dynamodb://TABLE (default sqlite:.meshwork/registry.sqlite)",
    ),
    textOption("--token-file <file>", "MESHWORK_TOKEN_FILE", "file with the token that changes need; or MESHWORK_TOKEN"),
    textOption("--insecure", "MESHWORK_INSECURE", "allow an address that others reach without a token"),
    dockerOption("keep containers that name a service in their labels in the registry"),
    advertiseHostOption(),
  ],
  examples: [
    "discovery",
    "discovery --host 0.0.0.0 --token-file /etc/meshwork/token --storage sqlite:/var/lib/meshwork/registry.sqlite",
    "discovery --storage etcd://10.0.0.2:2379,10.0.0.3:2379/mesh",
  ],
  async run(context, { config: file, tokenFile, ...options }) {
    const config = readConfiguration(context, file)
    const { readLyftEnvironment, runDiscovery } = await import("@meshwork/discovery-server")
    const { lyft, logLevel, ...named } = readLyftEnvironment(context.env, options.storage)
    const { host, port, storage, insecure, advertiseHost } = { ...config.discovery, ...options, ...named }
    const containers = { docker: dockerSetting(options.docker, config.discovery.docker), ...(advertiseHost === undefined ? {} : { advertiseHost }) }
    const tokens = accessTokens(context, config, tokenFile)
    const log = await createLog(context, "discovery")
    log.level = logLevel ?? log.level
    return runUntilStopped(context, async (running) => {
      const { name } = config.discovery
      const settings = { host, port, storage, insecure, tokens, instances: staticInstances(config), ...containers, env: context.env, lyft, log }
      running(await runDiscovery({ ...settings, ...(name === undefined ? {} : { name }) }))
    })
  },
})
