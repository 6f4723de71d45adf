// The thread that alone touches the file, so that a slow disk never stops the registry's event loop.
import { accessSync, constants, existsSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { parentPort } from "node:worker_threads"
import { systemClock } from "@meshwork/contract"
import type { StorageOp } from "@meshwork/registry-core"
import { makeFolder } from "./make-folder.ts"
import type { Fault, WorkerReply, WorkerRequest } from "./messages.ts"
import { RecordTables } from "./record-tables.ts"
import { createFile, prepare, UnusableFile } from "./schema.ts"

const groupCommitMs = 5
const maxGrouped = 5000

const port = parentPort
if (port === null) throw new Error("this file runs as a worker of the sqlite storage")

let database: DatabaseSync | undefined
let tables: RecordTables | undefined
let path = ""
let waiting: { call: number; ops: readonly StorageOp[] }[] = []
let grouped = 0
let latest = 0
let scheduled = false

port.on("message", (request: WorkerRequest) => {
  try {
    if (request.ask === "open") reply({ call: request.call, opened: open(request.path).load() })
    else if (request.ask === "reopen") reply({ call: request.call, reopened: open(request.path).resume() })
    else if (request.ask === "commit") enqueue(request.call, request.ops, request.at)
    else close(request.call)
  } catch (error) {
    reply({ call: request.call, fault: describe(error) })
  }
})

function reply(message: WorkerReply): void {
  port?.postMessage(message)
}

function open(file: string): RecordTables {
  path = file
  makeFolder(dirname(file))
  createFile(file)
  database = new DatabaseSync(file)
  prepare(database)
  tables = new RecordTables(database)
  return tables
}

function enqueue(call: number, ops: readonly StorageOp[], at: number): void {
  if (tables === undefined) throw new Error("not open")
  latest = at
  waiting.push({ call, ops })
  grouped += ops.length
  if (grouped >= maxGrouped) return flush()
  if (scheduled) return
  scheduled = true
  // What is in the port's queue already joins this transaction; nobody waits longer for company that may not come.
  const begin = systemClock.monotonic()
  const settle = (size: number): void => {
    if (waiting.length > size && systemClock.monotonic() - begin < groupCommitMs) setImmediate(settle, waiting.length)
    else flush()
  }
  setImmediate(settle, waiting.length)
}

function flush(): void {
  scheduled = false
  const batch = waiting
  waiting = []
  grouped = 0
  if (batch.length === 0 || tables === undefined) return
  try {
    const results = tables.commit(
      batch.map((commit) => commit.ops),
      latest,
    )
    for (const [index, commit] of batch.entries()) reply({ call: commit.call, results: results[index] ?? [] })
  } catch (error) {
    for (const commit of batch) reply({ call: commit.call, fault: describe(error) })
  }
}

function close(call: number): void {
  flush()
  tables = undefined
  if (database?.isOpen) database.close()
  database = undefined
  reply({ call, closed: true })
}

const sqliteCodes: Readonly<Record<number, Fault>> = {
  5: { kind: "unavailable", message: "is used by another process; one file belongs to one discovery server" },
  8: { kind: "unavailable", message: "cannot be written: it is read-only" },
  10: { kind: "unavailable", message: "cannot be used: its disk fails (disk I/O error)" },
  13: { kind: "unavailable", message: "cannot be written: the disk is full" },
  14: { kind: "config", message: "cannot be opened: not a file, or no permission" },
  26: { kind: "config", message: "is not a SQLite database" },
  11: { kind: "config", message: "is damaged; restore a backup or move it away" },
}

function isReadOnly(): boolean {
  try {
    for (const place of [dirname(path), path]) if (existsSync(place)) accessSync(place, constants.W_OK)
    return false
  } catch {
    return true
  }
}

function describe(error: unknown): Fault {
  if (error instanceof UnusableFile) return { kind: "config", message: `${path} ${error.message}` }
  const { errcode, code, message } = error as { errcode?: number; code?: string; message: string }
  const primary = (errcode ?? 0) & 0xff
  // SQLite says I/O error where it may not make the files beside its own.
  const known = sqliteCodes[(primary === 10 || primary === 14) && isReadOnly() ? 8 : primary]
  if (known) return { kind: known.kind, message: `${path} ${known.message}` }
  const kind = code === "EACCES" || code === "ENOTDIR" || code === "EROFS" || code === "EEXIST" ? "config" : "unavailable"
  return { kind, message: `${path}: ${message}` }
}
