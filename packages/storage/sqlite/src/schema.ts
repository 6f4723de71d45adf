import { randomUUID } from "node:crypto"
import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"

/** Version of the tables; a file with a higher one is refused. */
export const schemaVersion = 1

/** A data set this version cannot use; waiting does not help. */
export class UnusableFile extends Error {}

/**
 * Claims the file for this process and looks at who wrote it. FULL makes an acknowledged commit survive a loss of power; EXCLUSIVE
 * with one empty transaction makes a second process fail here instead of writing beside us.
 */
export function prepare(database: DatabaseSync): void {
  database.exec("PRAGMA locking_mode=EXCLUSIVE")
  const { user_version: version } = database.prepare("PRAGMA user_version").get() as { user_version: number }
  if (version > schemaVersion) {
    throw new UnusableFile(`was written by a newer version of Meshwork (tables of version ${version}, this one knows ${schemaVersion})`)
  }
  if (version === 0) {
    const found = (database.prepare("SELECT count(*) AS tables FROM sqlite_schema").get() as { tables: number }).tables
    throw new UnusableFile(
      found > 0
        ? "is not the database of a registry"
        : "is empty, and no file of a registry ever is: it was cut off, or is not one. Restore a backup, or move it away to begin with an empty registry",
    )
  }
  // Only now is anything written.
  database.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
  database.exec("BEGIN IMMEDIATE; COMMIT")
}

/** Makes the file where there is none, whole or not at all, so that an empty one is never taken for a new one. */
export function createFile(path: string): void {
  if (existsSync(path)) return
  const draft = `${path}.new-${process.pid}`
  rmSync(draft, { force: true })
  try {
    const database = new DatabaseSync(draft)
    try {
      create(database)
    } finally {
      database.close()
    }
    try {
      linkSync(draft, path)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      // Another process was faster, or the file system knows no links.
      if (code !== "EEXIST") renameSync(draft, path)
    }
  } finally {
    rmSync(draft, { force: true })
    rmSync(`${draft}-journal`, { force: true })
  }
  const folder = openSync(dirname(path), "r")
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

function create(database: DatabaseSync): void {
  database.exec(`
    BEGIN IMMEDIATE;
    CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE records (
      number INTEGER PRIMARY KEY,
      service TEXT NOT NULL,
      id TEXT NOT NULL,
      version INTEGER NOT NULL,
      record TEXT NOT NULL,
      cause TEXT NOT NULL,
      UNIQUE (service, id)
    ) STRICT;
    CREATE TABLE leases (number INTEGER PRIMARY KEY, renewed_at INTEGER NOT NULL) STRICT;
    CREATE TABLE tombstones (service TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER PRIMARY KEY, cause TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
  `)
  const meta = database.prepare("INSERT INTO meta VALUES (?, ?)")
  meta.run("epoch", randomUUID())
  meta.run("revision", 0)
  database.exec(`PRAGMA user_version=${schemaVersion}; COMMIT`)
}
