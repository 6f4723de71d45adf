import { MeshError } from "@meshwork/contract"
import { command, type CommandDefinition } from "../command.ts"
import { callerToken } from "../configuration.ts"
import { formatOption, type OutputFormat, serverOption, textOption, tokenFileOption } from "../options.ts"
import { openServer } from "../server-connection.ts"
import { printable } from "../table.ts"

interface WeightOptions {
  server: string[]
  format: OutputFormat
  tokenFile?: string
  undo?: boolean
}

/** `meshwork service weight`. */
export const serviceWeightCommand: CommandDefinition = command<WeightOptions>({
  path: ["service", "weight"],
  summary: "give an instance another share of the requests; wins over its own wish until taken back",
  args: { service: "name of the service", id: "id of the instance", "weight?": "from 1 to 100; an instance has 1 unless it says otherwise" },
  options: [textOption("--undo", "MESHWORK_UNDO", "go back to the instance's own weight"), serverOption(), tokenFileOption(), formatOption()],
  examples: ["service weight payment 127.0.0.1:9001 10", "service weight payment 127.0.0.1:9001 --undo"],
  async run(context, { server, format, tokenFile, undo = false }, [service = "", id = "", text]) {
    const weight = undo && text === undefined ? null : parseWeight(text)
    if (undo && weight !== null) throw new MeshError("invalid_config", "--undo goes back to the instance's own weight: leave the number out")
    const connection = await openServer(server, callerToken(context, tokenFile))
    const instance = await connection.patch({ service, id }, { weight })
    if (format === "json") context.stdout.write(`${JSON.stringify(instance, null, 2)}\n`)
    else context.stdout.write(`${printable(`${service}/${id} has weight ${instance.weight ?? 1}`)}\n`)
    return undefined
  },
})

function parseWeight(text: string | undefined): number {
  const weight = Number(text)
  if (text === undefined || !/^\d{1,3}$/.test(text) || weight < 1 || weight > 100) {
    throw new MeshError("invalid_config", `a weight is a number from 1 to 100, ${text === undefined ? "and none was given" : `not ${text}`}`)
  }
  return weight
}
