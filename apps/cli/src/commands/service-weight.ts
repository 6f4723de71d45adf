import { type InstanceRecord, keyText, MeshError } from "@meshwork/contract"
import { addressArgs, addressOf, addressOptions, type AddressOptions } from "../address.ts"
import { command, type CommandDefinition } from "../command.ts"
import { formatOption, type OutputFormat, textOption } from "../options.ts"
import { openTarget, targetOptions, type TargetOptions } from "../service-target.ts"
import { writeResult } from "../write-result.ts"

interface WeightOptions extends TargetOptions, AddressOptions {
  format: OutputFormat
  reset?: boolean
}

/** `meshwork service weight`. */
export const serviceWeightCommand: CommandDefinition = command<WeightOptions>({
  args: { ...addressArgs, "weight?": "from 1 to 100; an instance has 1 unless it says otherwise" },
  options: [
    textOption("--undo, --reset", "MESHWORK_UNDO", "go back to the instance's own weight"),
    ...addressOptions(),
    ...targetOptions(),
    formatOption(),
  ],
  examples: ["service weight payment 127.0.0.1:9001 10", "service weight payment 127.0.0.1:9001 --reset"],
  async run(context, options, args) {
    // With --service-type and --service-name the weight stands alone.
    const named = args.length < 2 && options.serviceType !== undefined && options.serviceName !== undefined
    const text = args[named ? 0 : 2]
    const key = addressOf(options, named ? [] : args.slice(0, 2))
    if (options.reset && text !== undefined)
      throw new MeshError("invalid_config", "--reset goes back to the instance's own weight: leave the number out")
    const weight = options.reset ? null : parseWeight(text)
    const target = await openTarget(context, options)
    const result = await (target.kind === "etcd" ? target.services.override(key, { weight }) : target.connection.patch(key, { weight }))
    const now = (target.kind === "etcd" ? (result as InstanceRecord).override?.weight : undefined) ?? result.weight ?? 1
    writeResult(context, options.format, result, `${keyText(key)} has weight ${now}`)
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
