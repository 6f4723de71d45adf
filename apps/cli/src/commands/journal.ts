import type { JournalEntry } from "@meshwork/contract"
import { command, type CommandDefinition } from "../command.ts"
import { formatOption, type OutputFormat, serverOption, textOption, VariableOption, wholeNumber } from "../options.ts"
import { openServer } from "../server-connection.ts"
import { type Column, formatTable } from "../table.ts"

interface JournalOptions {
  server: string[]
  format: OutputFormat
  service?: string
  id?: string
  limit: number
}

const columns: readonly Column<JournalEntry>[] = [
  { title: "TIME", text: ({ at }) => new Date(at).toISOString() },
  { title: "SERVICE", text: ({ service }) => service, shrinkTo: 10 },
  { title: "INSTANCE", text: ({ id }) => id, shrinkTo: 12 },
  { title: "WHAT", text: ({ what }) => what },
  { title: "BY", text: ({ by }) => by, shrinkTo: 8 },
  { title: "WHY", text: ({ why }) => why, shrinkTo: 8 },
]

/** `meshwork journal`. */
export const journalCommand: CommandDefinition = command<JournalOptions>({
  options: [
    textOption("--service <name>", "MESHWORK_SERVICE", "only what happened in this service"),
    textOption("--id <id>", "MESHWORK_ID", "only what happened to this instance"),
    new VariableOption("--limit <count>", "at most so many of the latest entries", "MESHWORK_LIMIT").default(50).argParser(wholeNumber(1, 10_000)),
    serverOption(),
    formatOption(),
  ],
  examples: ["journal", "journal --service payment --limit 200", "journal --format json"],
  async run(context, { server, format, service, id, limit }) {
    const connection = await openServer(server)
    const entries = await connection.journal({ limit, ...(service === undefined ? {} : { service }), ...(id === undefined ? {} : { id }) })
    // The latest entry stands where the eye is when the command ends.
    if (format === "json") context.stdout.write(`${JSON.stringify(entries.toReversed(), null, 2)}\n`)
    else if (entries.length > 0) context.stdout.write(formatTable(columns, entries.toReversed(), context.stdout.columns))
    else context.stderr.write("nothing happened yet that this server remembers\n")
    return undefined
  },
})
