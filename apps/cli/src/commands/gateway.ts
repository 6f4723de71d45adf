import { command, type CommandDefinition } from "../command.ts"
import { accessTokens, readConfiguration } from "../configuration.ts"
import { createLog } from "../log.ts"
import { configOption, parseUrls, portOption, textOption } from "../options.ts"
import { runUntilStopped } from "../run-until-stopped.ts"

interface GatewayOptions {
  config?: string
  host?: string
  port?: number
  adminPort?: number
  discovery?: string[]
  tokenFile?: string
}

/** `meshwork gateway`. */
export const gatewayCommand: CommandDefinition = command<GatewayOptions>({
  options: [
    configOption(),
    textOption("--host <host>", "MESHWORK_GATEWAY_HOST", "address to bind (default 127.0.0.1)"),
    portOption("--port", "MESHWORK_GATEWAY_PORT", "port for requests (default 8080)"),
    portOption("--admin-port", "MESHWORK_ADMIN_PORT", "port of the admin API (default 8009)"),
    textOption("--discovery <urls>", "MESHWORK_DISCOVERY", "discovery servers, separated by commas (default http://127.0.0.1:8008)").argParser(
      parseUrls,
    ),
    textOption("--token-file <file>", "MESHWORK_TOKEN_FILE", "file with the token that reports to discovery servers need; or MESHWORK_TOKEN"),
  ],
  async run(context, { config: file, tokenFile, ...options }) {
    const config = readConfiguration(context, file)
    const token = accessTokens(context, config, tokenFile).at(-1)?.token
    const { runGateway } = await import("@meshwork/gateway-server")
    return runUntilStopped(context, async (running) => {
      const log = await createLog(context, "gateway")
      running(await runGateway({ ...config, gateway: { ...config.gateway, ...options }, log, ...(token === undefined ? {} : { token }) }))
    })
  },
})
