import { randomUUID } from "node:crypto"
import type { DatabaseSync } from "node:sqlite"

/** Version of the tables; a file with a higher one is refused. */
export const schemaVersion = 1

/** A data set this version cannot use; waiting does not help. */
export class UnusableFile extends Error {}

/**
 * Claims the file for this process and brings its tables up to date. FULL makes an acknowledged commit survive a loss of power; EXCLUSIVE
 * with one empty transaction makes a second process fail here instead of writing beside us.
 */
export function prepare(database: DatabaseSync): void {
  database.exec("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
  database.exec("BEGIN IMMEDIATE; COMMIT")
  const { user_version: version } = database.prepare("PRAGMA user_version").get() as { user_version: number }
  if (version > schemaVersion) {
    throw new UnusableFile(`was written by a newer version of Meshwork (tables of version ${version}, this one knows ${schemaVersion})`)
  }
  if (version === 0) create(database)
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
