import { command, type CommandDefinition } from "../command.ts"
import { callerToken } from "../configuration.ts"
import { formatOption, type OutputFormat, serverOption, textOption, tokenFileOption } from "../options.ts"
import { openServer } from "../server-connection.ts"
import { printable } from "../table.ts"

interface DrainOptions {
  server: string[]
  format: OutputFormat
  tokenFile?: string
  disable?: boolean
  undo?: boolean
}

/** `meshwork service drain`. */
export const serviceDrainCommand: CommandDefinition = command<DrainOptions>({
  path: ["service", "drain"],
  summary: "send an instance nothing new; what is in flight goes on",
  args: { service: "name of the service", id: "id of the instance" },
  options: [
    textOption("--disable", "MESHWORK_DISABLE", "never use it, not even where nothing else serves"),
    textOption("--undo", "MESHWORK_UNDO", "take an earlier drain or disable back"),
    serverOption(),
    tokenFileOption(),
    formatOption(),
  ],
  examples: ["service drain payment 127.0.0.1:9001", "service drain payment 127.0.0.1:9001 --undo"],
  async run(context, { server, format, tokenFile, disable = false, undo = false }, [service = "", id = ""]) {
    const connection = await openServer(server, callerToken(context, tokenFile))
    const instance = await connection.patch({ service, id }, { state: undo ? null : disable ? "disabled" : "draining" })
    if (format === "json") context.stdout.write(`${JSON.stringify(instance, null, 2)}\n`)
    else context.stdout.write(`${printable(`${service}/${id} is ${instance.standing}: ${instance.why}`)}\n`)
    return undefined
  },
})
