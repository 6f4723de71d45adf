// The thread that alone touches the file of the counts, so that a slow disk never delays a request.
import { mkdirSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { parentPort } from "node:worker_threads"
import type { SavedCounter } from "@meshwork/gateway"
import type { StatsReply, StatsRequest } from "./stats-messages.ts"

const version = 1

const port = parentPort
if (port === null) throw new Error("this file runs as a worker of the gateway")

let database: DatabaseSync | undefined

port.on("message", (request: StatsRequest) => {
  try {
    if (request.ask === "open") reply({ opened: open(request.path) })
    else if (request.ask === "write") reply({ written: write(request) })
    else close()
  } catch (error) {
    reply({ fault: describe(error) })
  }
})

function reply(message: StatsReply): void {
  port?.postMessage(message)
}

function open(path: string): [string, SavedCounter][] {
  makeFolder(dirname(path))
  database = new DatabaseSync(path)
  database.exec("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL")
  database.exec("BEGIN IMMEDIATE; COMMIT")
  const found = (database.prepare("PRAGMA user_version").get() as { user_version: number }).user_version
  if (found > version) throw new Error(`a newer version wrote it (format ${found}, known is ${version})`)
  database.exec(
    `CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, success REAL NOT NULL, error REAL NOT NULL, statuses TEXT NOT NULL, sum REAL NOT NULL,
       scheme TEXT NOT NULL, buckets TEXT NOT NULL) STRICT;
     PRAGMA user_version=${version}`,
  )
  const rows = database.prepare("SELECT name, success, error, statuses, sum, scheme, buckets FROM counts ORDER BY rowid").all() as unknown as Row[]
  return rows.flatMap((row): [string, SavedCounter][] => {
    const [statuses, counts] = [numbers(row.statuses), numbers(row.buckets)]
    if (statuses === undefined || counts === undefined) return []
    const { name, success, error, sum, scheme } = row
    return [[name, { success, error, statuses, latency: { sum, counts, scheme } }]]
  })
}

/** One folder at a time: `recursive` tries for ever where making one in a folder that is there fails with ENOENT, as in /proc. */
function makeFolder(path: string, depth = 0): void {
  try {
    mkdirSync(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === "EEXIST") return
    if (code !== "ENOENT" || depth > 20) throw error
    makeFolder(dirname(path), depth + 1)
    mkdirSync(path)
  }
}

interface Row {
  name: string
  success: number
  error: number
  statuses: string
  sum: number
  scheme: string
  buckets: string
}

function numbers(text: string): number[] | undefined {
  try {
    const found: unknown = JSON.parse(text)
    return Array.isArray(found) && found.every((number) => typeof number === "number" && number >= 0) ? found : undefined
  } catch {
    return undefined
  }
}

function write({ changed, gone }: { changed: readonly [string, SavedCounter][]; gone: readonly string[] }): number {
  if (database === undefined) throw new Error("it is not open")
  const put = database.prepare(
    `INSERT INTO counts (name, success, error, statuses, sum, scheme, buckets) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET success = excluded.success, error = excluded.error, statuses = excluded.statuses, sum = excluded.sum,
       scheme = excluded.scheme, buckets = excluded.buckets`,
  )
  const drop = database.prepare("DELETE FROM counts WHERE name = ?")
  database.exec("BEGIN")
  try {
    for (const [name, { success, error, statuses, latency }] of changed) {
      put.run(name, success, error, JSON.stringify(statuses), latency.sum, latency.scheme, JSON.stringify(latency.counts))
    }
    for (const name of gone) drop.run(name)
    database.exec("COMMIT")
  } catch (error) {
    database.exec("ROLLBACK")
    throw error
  }
  return changed.length
}

function close(): void {
  if (database?.isOpen) database.close()
  database = undefined
  reply({ closed: true })
}

const sqliteCodes: Readonly<Record<number, string>> = {
  5: "another process uses it",
  8: "it is read-only",
  13: "the disk is full",
  14: "it is no file, or there is no permission",
  26: "it is not a SQLite database",
  11: "it is damaged",
}

function describe(error: unknown): string {
  const { errcode, message } = error as { errcode?: number; message: string }
  return (errcode === undefined ? undefined : sqliteCodes[errcode & 0xff]) ?? message
}
