import { addressArgs, addressOf, addressOptions, type AddressOptions } from "../address.ts"
import { command, type CommandDefinition } from "../command.ts"
import { formatOption, type OutputFormat } from "../options.ts"
import { openTarget, targetOptions, type TargetOptions } from "../service-target.ts"

interface UnregisterOptions extends TargetOptions, AddressOptions {
  format: OutputFormat
}

/** `meshwork service unregister`. */
export const serviceUnregisterCommand: CommandDefinition = command<UnregisterOptions>({
  args: addressArgs,
  options: [...addressOptions(), ...targetOptions(), formatOption()],
  examples: ["service unregister --service-type orders --service-name o1", "service unregister orders 127.0.0.1:9001"],
  async run(context, options, args) {
    const key = addressOf(options, args)
    const target = await openTarget(context, options)
    const found = await (target.kind === "etcd" ? target.services.unregister(key) : target.connection.deregister(key))
    if (options.format === "json") context.stdout.write(`${JSON.stringify({ ...key, found })}\n`)
    context.stderr.write(`service ${key.id} (${key.service}) ${found ? "unregistered" : "was not registered"}\n`)
    return undefined
  },
})
