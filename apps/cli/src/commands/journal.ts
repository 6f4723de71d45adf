import { type JournalEntry, MeshError, sleep } from "@meshwork/contract"
import { command, type CommandDefinition } from "../command.ts"
import type { CliContext } from "../context.ts"
import { formatOption, type OutputFormat, serverOption, textOption, VariableOption, wholeNumber } from "../options.ts"
import { openServer } from "../server-connection.ts"
import { type Column, formatTable, printable } from "../table.ts"
import { whileRead } from "../until-signal.ts"

interface JournalOptions {
  server: string[]
  format: OutputFormat
  service?: string
  id?: string
  limit: number
  follow?: boolean
}

/** Between two readings of a journal that is followed, ms. */
const pauseMs = 1000
const mostEntries = 10_000

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
    new VariableOption("--limit <count>", "at most so many of the latest entries", "MESHWORK_LIMIT")
      .default(50)
      .argParser(wholeNumber(1, mostEntries)),
    textOption("--follow", "MESHWORK_FOLLOW", "go on with what happens from now on, until Ctrl-C"),
    serverOption(),
    formatOption(),
  ],
  examples: ["journal", "journal --service payment --limit 200", "journal --follow --format json"],
  async run(context, { server, format, limit, service, id, follow = false }) {
    const connection = await openServer(context, server)
    const filter = { ...(service === undefined ? {} : { service }), ...(id === undefined ? {} : { id }) }
    const read = (most: number) => connection.journal({ ...filter, limit: most })
    const entries = await read(limit)
    if (follow) return whileRead(context, (signal) => go(context, { first: entries, read, format, signal }))
    // The latest entry stands where the eye is when the command ends.
    if (format === "json") context.stdout.write(`${JSON.stringify(entries.toReversed(), null, 2)}\n`)
    else if (entries.length > 0) context.stdout.write(formatTable(columns, entries.toReversed(), context.stdout.columns))
    else context.stderr.write("nothing happened yet that this server remembers\n")
    return undefined
  },
})

interface Following {
  /** Newest first. */
  first: readonly JournalEntry[]
  read: (limit: number) => Promise<JournalEntry[]>
  format: OutputFormat
  signal: AbortSignal
}

/** Prints what a reading has that the one before had not. */
async function go(context: CliContext, { first, read, format, signal }: Following): Promise<void> {
  const print = (entries: readonly JournalEntry[]) => {
    for (const entry of entries.toReversed()) context.stdout.write(format === "json" ? `${JSON.stringify(entry)}\n` : `${printable(line(entry))}\n`)
  }
  print(first)
  let known = new Set(first.map(identity))
  let outage = false
  for (;;) {
    await sleep(context.clock, pauseMs, signal)
    if (signal.aborted) return
    try {
      const window = await newest(read, known)
      const seen = window.findIndex((entry) => known.has(identity(entry)))
      print(seen === -1 ? window : window.slice(0, seen))
      if (window.length > 0) known = new Set(window.map(identity))
      outage = false
    } catch (error) {
      if (!MeshError.is(error)) throw error
      if (!outage) context.stderr.write(`${printable(`meshwork: ${error.message}; asking again`)}\n`)
      outage = true
    }
  }
}

/** As many of the newest entries as it takes to reach one that is known; those of a server that was started anew share none. */
async function newest(read: Following["read"], known: ReadonlySet<string>): Promise<JournalEntry[]> {
  const few = await read(200)
  return few.length < 200 || few.some((entry) => known.has(identity(entry))) ? few : read(mostEntries)
}

const identity = ({ at, revision, service, id, what }: JournalEntry) => JSON.stringify([at, revision, service, id, what])

function line({ at, service, id, what, by, why }: JournalEntry): string {
  return `${new Date(at).toISOString()} ${what.padEnd(12)} ${service}/${id}: ${why} (by ${by})`
}
