import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http"
import { DeleteTableCommand } from "@aws-sdk/client-dynamodb"
import { sleep, systemClock, systemRandom } from "@meshwork/contract"
import dynalite from "dynalite"
import { createTable } from "../create-table.ts"
import { type Item, Table } from "../table.ts"

/** A stand-in for DynamoDB, with one table, for tests. */
export interface DynaliteServer {
  readonly url: string
  /** The table without anything between. */
  readonly table: Table
  items(): Promise<Item[]>
  /** Deletes the table and makes it anew. */
  lose(): Promise<void>
  /** Deletes the rows for which `condition` holds. */
  clear(condition: (item: Item) => boolean): Promise<void>
  close(): Promise<void>
}

/** Starts dynalite and makes a table in it. */
export async function startDynalite(name: string): Promise<DynaliteServer> {
  const server = dynalite({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 })
  const finishRequests = underWay(server)
  const url = await listening(server)
  const table = new Table({ table: name, endpoint: url, clock: systemClock, random: systemRandom })
  await createTable(table, systemClock)
  const items = async () => {
    const found: Item[] = []
    for await (const page of table.scan(true)) found.push(...page)
    return found
  }
  return {
    url,
    table,
    items,
    lose: async () => {
      // Rows that come after the log may be on their way.
      await sleep(systemClock, 200)
      await table.client.send(new DeleteTableCommand({ TableName: name }))
      await createTable(table, systemClock)
    },
    clear: async (condition) => {
      for (const item of await items()) {
        if (condition(item)) await table.delete({ service: item["service"]?.S ?? "", range: item["ip_address"]?.S ?? "" })
      }
    },
    close: async () => {
      table.close()
      await finishRequests()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A way to a server that a test can cut. */
export interface CutWay {
  readonly url: string
  /** While true nothing is answered, and connections break. */
  cut: boolean
  /** While true requests arrive and their answers are lost. */
  deaf: boolean
  close(): Promise<void>
}

/** Puts a proxy before a server. */
export async function wayTo(target: string): Promise<CutWay> {
  const way = { cut: false, deaf: false }
  const proxy = createServer((incoming, answer) => {
    if (way.cut) return incoming.socket.destroy()
    const { method, headers, url } = incoming
    const onward = request(target + (url ?? ""), { ...(method === undefined ? {} : { method }), headers }, (back) => {
      if (way.deaf || way.cut) {
        back.resume()
        return incoming.socket.destroy()
      }
      answer.writeHead(back.statusCode ?? 502, back.headers)
      return back.pipe(answer)
    })
    onward.on("error", () => incoming.socket.destroy())
    return incoming.pipe(onward)
  })
  const url = await listening(proxy)
  return {
    url,
    get cut() {
      return way.cut
    },
    set cut(cut) {
      way.cut = cut
    },
    get deaf() {
      return way.deaf
    },
    set deaf(deaf) {
      way.deaf = deaf
    },
    close: async () => {
      proxy.closeAllConnections()
      await new Promise((resolve) => proxy.close(resolve))
    },
  }
}

/** Takes no more requests once it is called, and waits for those that came as a whole: dynalite throws when its database is closed meanwhile. */
function underWay(server: Server): () => Promise<void> {
  const handlers = server.listeners("request") as ((incoming: IncomingMessage, answer: ServerResponse) => void)[]
  const open = new Set<ServerResponse>()
  let over = false
  server.removeAllListeners("request")
  server.on("request", (incoming, answer) => {
    if (over) return incoming.socket.destroy()
    const end = answer.end.bind(answer) as (...args: unknown[]) => ServerResponse
    answer.end = (...args: unknown[]) => {
      open.delete(answer)
      return end(...args)
    }
    incoming.on("end", () => open.add(answer))
    for (const handle of handlers) handle(incoming, answer)
  })
  return async () => {
    over = true
    for (const limit = systemClock.monotonic() + 10_000; open.size > 0 && systemClock.monotonic() < limit; ) await sleep(systemClock, 5)
  }
}

async function listening(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
