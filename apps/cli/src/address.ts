import { instanceIdSchema, type InstanceKey, MeshError, serviceNameSchema } from "@meshwork/contract"
import { VariableOption } from "./options.ts"

/** What the options of `addressOptions` yield. */
export interface AddressOptions {
  serviceType?: string
  serviceName?: string
}

/** Positional arguments that name one instance; options can stand for them. */
export const addressArgs: Readonly<Record<string, string>> = {
  "service?": "name of the service; or --service-type",
  "id?": "id of the instance, host:port unless it chose another one; or --service-name",
}

/** `--service-type` and `--service-name`, as Empusa spells service and id. */
export function addressOptions(): VariableOption[] {
  return [
    new VariableOption("--service-type <type>", "name of the service", "MESHWORK_SERVICE_TYPE", "EMPUSA_SERVICE_TYPE"),
    new VariableOption("--service-name <name>", "id of the instance within it", "MESHWORK_SERVICE_NAME", "EMPUSA_SERVICE_NAME"),
  ]
}

/** One instance, by arguments where the command takes them, or else by options. `invalid_config` names what is missing or no name at all. */
export function addressOf(options: AddressOptions, args?: readonly string[]): InstanceKey {
  const [service = options.serviceType, id = (args ?? []).length === 0 ? options.serviceName : undefined] = args ?? []
  const missing = (argument: string, option: string) => {
    const what = args === undefined ? `option '${option}'` : `argument '${argument}', or option '${option}'`
    return new MeshError("invalid_config", `missing required ${what} (EMPUSA_${option.slice(2).toUpperCase().replace("-", "_")})`)
  }
  if (service === undefined) throw missing("service", "--service-type")
  if (id === undefined) throw missing("id", "--service-name")
  return { service: checkedName("service", serviceNameSchema, service), id: checkedName("id", instanceIdSchema, id) }
}

/** The text, where it is a valid name; else `invalid_config`. */
export function checkedName(what: string, schema: typeof serviceNameSchema, text: string): string {
  const parsed = schema.safeParse(text)
  if (parsed.success) return parsed.data
  if (text === "") throw new MeshError("invalid_config", `the ${what} must not be empty`)
  throw new MeshError("invalid_config", `${JSON.stringify(text.slice(0, 80))} is no ${what}: ${parsed.error.issues[0]?.message ?? "it is malformed"}`)
}
