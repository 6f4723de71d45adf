// The stores themselves, without a registry: reads and parses everything before it listens where READ says so, and writes rows when asked.
import { fdatasyncSync, openSync, readFileSync, writeSync } from "node:fs"
import { createServer } from "node:http"
import { createRequire } from "node:module"
import { DatabaseSync } from "node:sqlite"

const { PORT, READ, PLACE } = process.env
const atOnce = 32

const open = {
  /** One row per commit, on the disk before the next one begins. */
  sqlite: () => {
    const database = new DatabaseSync(PLACE)
    database.exec(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS plain (id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT",
    )
    const insert = database.prepare("INSERT INTO plain VALUES (?, ?)")
    const read = () => database.prepare("SELECT record FROM records").all()
    return {
      write: async (id, record) => void insert.run(id, record),
      read: async () => new Map(read().map((row, n) => [n, JSON.parse(row.record)])),
    }
  },
  /** One line per write, on the disk before the next one begins. */
  file: () => {
    const file = openSync(PLACE, "a")
    const write = async (id, record) => {
      writeSync(file, `${id} ${record}\n`)
      fdatasyncSync(file)
    }
    return {
      write,
      read: async () =>
        new Map(
          readFileSync(PLACE, "utf8")
            .trimEnd()
            .split("\n")
            .map((line, n) => [n, parsed(line)]),
        ),
    }
  },
  etcd: () => {
    const { Etcd3 } = createRequire(new URL("../../packages/storage/etcd/package.json", import.meta.url))("etcd3")
    const [hostPort, tree] = PLACE.split("/")
    const { kv } = new Etcd3({ hosts: `http://${hostPort}`, grpcOptions: { "grpc.max_receive_message_length": -1 } })
    const read = async () => {
      const range = { key: Buffer.from(`/${tree}/`), range_end: Buffer.from(`/${tree}0`) }
      return new Map((await kv.range(range)).kvs.map((pair) => [pair.key.toString(), parsed(pair.value.toString())]))
    }
    return { write: async (id, record) => void (await kv.put({ key: Buffer.from(`/plain/${id}`), value: Buffer.from(record) })), read }
  },
}

/** What is no JSON is what stands between the records. */
function parsed(text) {
  try {
    return JSON.parse(text.slice(text.indexOf("{")))
  } catch {
    return text
  }
}

const store = open[READ ?? process.env.WRITE]()
const held = READ === undefined ? new Map() : await store.read()

createServer(async (request, response) => {
  const asked = new URL(request.url, "http://x").searchParams
  const writes = Number(asked.get("writes") ?? 0)
  const record = asked.get("record") ?? ""
  const begin = performance.now()
  let next = Number(asked.get("from") ?? 0)
  const end = next + writes
  const worker = async () => {
    while (next < end) await store.write(`id-${next++}`, record)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  response.end(JSON.stringify({ held: held.size, seconds: (performance.now() - begin) / 1000 }))
}).listen(Number(PORT), "127.0.0.1")
