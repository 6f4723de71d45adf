import type { CommandDefinition } from "../command.ts"
import { checkCommand } from "./check.ts"
import { discoveryCommand } from "./discovery.ts"
import { gatewayCommand } from "./gateway.ts"
import { journalCommand } from "./journal.ts"
import { serviceDrainCommand } from "./service-drain.ts"
import { serviceGetCommand } from "./service-get.ts"
import { serviceListCommand } from "./service-list.ts"
import { serviceRegisterCommand } from "./service-register.ts"
import { serviceUnregisterCommand } from "./service-unregister.ts"
import { serviceWatchCommand } from "./service-watch.ts"
import { serviceWeightCommand } from "./service-weight.ts"
import { upCommand } from "./up.ts"

/** Every command, in the order of the help. */
export const commands: readonly CommandDefinition[] = [
  upCommand,
  discoveryCommand,
  gatewayCommand,
  serviceListCommand,
  serviceGetCommand,
  serviceWatchCommand,
  serviceRegisterCommand,
  serviceUnregisterCommand,
  serviceDrainCommand,
  serviceWeightCommand,
  journalCommand,
  checkCommand,
]

/** What the first word of a command of two words stands for. */
export const groups: Readonly<Record<string, string>> = { service: "look at services and their instances, and steer them" }
