import { keyText } from "@meshwork/contract"
import { addressArgs, addressOf, addressOptions, type AddressOptions } from "../address.ts"
import { command, type CommandDefinition } from "../command.ts"
import { formatOption, type OutputFormat, textOption } from "../options.ts"
import { openTarget, targetOptions, type TargetOptions } from "../service-target.ts"
import { writeResult } from "../write-result.ts"

interface DrainOptions extends TargetOptions, AddressOptions {
  format: OutputFormat
  disable?: boolean
  undo?: boolean
}

/** `meshwork service drain`. */
export const serviceDrainCommand: CommandDefinition = command<DrainOptions>({
  args: addressArgs,
  options: [
    textOption("--disable", "MESHWORK_DISABLE", "never use it, not even where nothing else serves"),
    textOption("--undo", "MESHWORK_UNDO", "take an earlier drain or disable back"),
    ...addressOptions(),
    ...targetOptions(),
    formatOption(),
  ],
  examples: ["service drain payment 127.0.0.1:9001", "service drain payment 127.0.0.1:9001 --undo"],
  async run(context, options, args) {
    const key = addressOf(options, args)
    const state = options.undo ? null : options.disable ? "disabled" : "draining"
    const target = await openTarget(context, options)
    if (target.kind === "etcd") {
      const record = await target.services.override(key, { state })
      writeResult(context, options.format, record, `${keyText(key)} is ${record.override?.state ?? record.state ?? "up"}`)
    } else {
      const instance = await target.connection.patch(key, { state })
      writeResult(context, options.format, instance, `${keyText(key)} is ${instance.standing}: ${instance.why}`)
    }
    return undefined
  },
})
