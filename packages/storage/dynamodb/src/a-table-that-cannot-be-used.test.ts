import { CreateTableCommand } from "@aws-sdk/client-dynamodb"
import { sampleRecord } from "@meshwork/registry-core/testing"
import { afterEach, beforeEach, expect, it } from "vitest"
import { createDynamodbStorage } from "./index.ts"
import { ownService } from "./log-row.ts"
import { type DynaliteServer, startDynalite } from "./testing/dynalite-server.ts"

let server: DynaliteServer

beforeEach(async () => {
  server = await startDynalite("hosts")
})
afterEach(() => server.close())

const open = (options: Partial<Parameters<typeof createDynamodbStorage>[0]> = {}) => {
  const storage = createDynamodbStorage({ table: "hosts", endpoint: server.url, ...options })
  return storage.open().finally(() => storage.close())
}

it("a table that is not there is refused by name, or made when that is asked for", async () => {
  await expect(open({ table: "others" })).rejects.toMatchObject({
    code: "invalid_config",
    message: "the DynamoDB table others does not exist; create it, or let it be created with create=true",
  })
  expect(
    (await Promise.all([open({ table: "others", create: true }), open({ table: "others", create: true })])).map(({ records }) => records),
  ).toEqual([[], []])
  expect((await open({ table: "others" })).records).toEqual([])
})

it("nobody who answers is an error within seconds", async () => {
  const begun = performance.now()
  await expect(open({ endpoint: "http://127.0.0.1:1" })).rejects.toMatchObject({
    code: "storage_unavailable",
    message: expect.stringMatching(/table hosts cannot be reached: .*ECONNREFUSED/),
  })
  expect(performance.now() - begun).toBeLessThan(6000)
})

it("a table with other keys is refused", async () => {
  await server.table.client.send(
    new CreateTableCommand({
      TableName: "strange",
      BillingMode: "PAY_PER_REQUEST",
      AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
      KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
    }),
  )
  await expect(open({ table: "strange" })).rejects.toMatchObject({
    code: "invalid_config",
    message: expect.stringMatching(/table strange refuses a request/),
  })
})

it("a log of a newer version is refused, and a server that follows one stops writing", async () => {
  const storage = createDynamodbStorage({ table: "hosts", endpoint: server.url })
  await storage.open()
  const row = (await server.items()).find((item) => item["sequence"] !== undefined)
  if (!row) throw new Error("no log")
  await server.table.put({ ...row, format: { N: "2" } })
  await expect(open()).rejects.toMatchObject({
    code: "invalid_config",
    message: expect.stringContaining("newer version of Meshwork (log of format 2)"),
  })
  const cause = { by: "test", why: "", at: 1 }
  await server.table.put({ ...row, format: { N: "2" }, ip_address: { S: "log/000002" }, sequence: { N: "2" } })
  await expect(storage.commit([{ op: "put", record: sampleRecord("a", "1"), ifVersion: null, cause }])).rejects.toMatchObject({
    code: "invalid_config",
  })
  await storage.close()
})

it("a damaged row of the log is read past: what the other rows say is served, in a new epoch where the end is damaged", async () => {
  const first = createDynamodbStorage({ table: "hosts", endpoint: server.url })
  const { epoch } = await first.open()
  const cause = { by: "test", why: "", at: 1 }
  for (const id of ["1", "2", "3"]) await first.commit([{ op: "put", record: sampleRecord("a", id), ifVersion: null, cause }])
  await first.close()
  const damaged = { service: { S: ownService }, ip_address: { S: "log/000002" }, format: { N: "1" }, changes: { S: "{" } }
  await server.table.put(damaged)
  const state = await open()
  expect([state.epoch, state.records.map(({ record }) => record.id).sort()]).toEqual([epoch, ["1", "2", "3"]])
  for (const slot of ["1", "3", "4"]) await server.table.put({ ...damaged, ip_address: { S: `log/00000${slot}` } })
  const anew = await open()
  expect([anew.epoch === epoch, anew.records.map(({ record }) => record.id).sort(), anew.revision]).toEqual([false, ["1", "2", "3"], 3])
})

it("a server that meets a damaged row while it follows the log begins a new epoch and goes on", async () => {
  const storage = createDynamodbStorage({ table: "hosts", endpoint: server.url })
  const { epoch } = await storage.open()
  const cause = { by: "test", why: "", at: 1 }
  await storage.commit([{ op: "put", record: sampleRecord("a", "1"), ifVersion: null, cause }])
  const row = (await server.items()).find((item) => item["sequence"]?.N === "2")
  await server.table.put({ ...row, ip_address: { S: "log/000003" }, sequence: { N: "3" }, changes: { S: "{" } })
  expect(await storage.commit([{ op: "put", record: sampleRecord("a", "2"), ifVersion: null, cause }])).toMatchObject([{ ok: true }])
  await storage.close()
  const state = await open()
  expect([state.epoch === epoch, state.records.map(({ record }) => record.id).sort()]).toEqual([false, ["1", "2"]])
})
