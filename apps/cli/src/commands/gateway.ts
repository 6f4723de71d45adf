import type { LoadedConfig } from "@meshwork/config"
import { command, type CommandDefinition } from "../command.ts"
import { accessTokens, readConfiguration } from "../configuration.ts"
import { followConfiguration, hearReloads } from "../follow-configuration.ts"
import { createLog } from "../log.ts"
import { configOption, dockerOption, dockerSetting, parseUrls, portOption, textOption } from "../options.ts"
import { runUntilStopped } from "../run-until-stopped.ts"

interface GatewayOptions {
  config?: string
  host?: string
  port?: number
  adminPort?: number
  adminHost?: string
  discovery?: string[]
  docker?: boolean
  tokenFile?: string
}

/** `meshwork gateway`. */
export const gatewayCommand: CommandDefinition = command<GatewayOptions>({
  options: [
    configOption(),
    textOption("--host <host>", "MESHWORK_GATEWAY_HOST", "address to bind (default 127.0.0.1)"),
    portOption("--port", "MESHWORK_GATEWAY_PORT", "port for requests (default 8080)"),
    portOption("--admin-port", "MESHWORK_ADMIN_PORT", "port of the admin API (default 8009)"),
    textOption("--admin-host <host>", "MESHWORK_ADMIN_HOST", "address the admin API binds (default 127.0.0.1)"),
    textOption("--discovery <urls>", "MESHWORK_DISCOVERY", "discovery servers, separated by commas (default http://127.0.0.1:8008)").argParser(
      parseUrls,
    ),
    dockerOption("services and routes from the labels of containers"),
    textOption("--token-file <file>", "MESHWORK_TOKEN_FILE", "file with the token that reports to discovery servers need; or MESHWORK_TOKEN"),
  ],
  examples: ["gateway -c meshwork.yaml", "gateway -c config.yml --discovery http://10.0.0.5:8008,http://10.0.0.6:8008", "gateway --docker"],
  async run(context, { config: file, tokenFile, docker, ...options }) {
    const config = readConfiguration(context, file)
    const token = accessTokens(context, config, tokenFile).at(-1)?.token
    const withOptions = (each: LoadedConfig): LoadedConfig => {
      return { ...each, gateway: { ...each.gateway, ...options, docker: dockerSetting(docker, each.gateway.docker) } }
    }
    const { runGateway } = await import("@meshwork/gateway-server")
    return runUntilStopped(context, async (running) => {
      const reloads = file === undefined ? undefined : hearReloads(context)
      if (reloads !== undefined) running(reloads)
      const log = await createLog(context, "gateway")
      const gateway = await runGateway({ ...withOptions(config), env: context.env, log, ...(token === undefined ? {} : { token }) })
      running(gateway)
      if (file === undefined || reloads === undefined) return
      const apply = (next: LoadedConfig): Promise<void> => gateway.reload(withOptions(next))
      running(await followConfiguration(context, { file, reloads, before: config, log, apply, onSignal: () => gateway.reopenLogs() }))
    })
  },
})
