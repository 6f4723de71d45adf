import { CreateTableCommand, DescribeTableCommand } from "@aws-sdk/client-dynamodb"
import { type Clock, MeshError, sleep } from "@meshwork/contract"
import type { Table } from "./table.ts"

const lookEveryMs = 500
const patienceMs = 60_000

/** Makes a table with lyft/discovery's keys and index, paid by request, and waits until it can be used. One that is there is left as it is. */
export async function createTable(table: Table, clock: Clock): Promise<void> {
  const command = new CreateTableCommand({
    TableName: table.name,
    BillingMode: "PAY_PER_REQUEST",
    AttributeDefinitions: [
      { AttributeName: "service", AttributeType: "S" },
      { AttributeName: "ip_address", AttributeType: "S" },
      { AttributeName: "service_repo_name", AttributeType: "S" },
    ],
    KeySchema: [
      { AttributeName: "service", KeyType: "HASH" },
      { AttributeName: "ip_address", KeyType: "RANGE" },
    ],
    GlobalSecondaryIndexes: [
      {
        IndexName: "ServiceRepoNameIndex",
        KeySchema: [
          { AttributeName: "service_repo_name", KeyType: "HASH" },
          { AttributeName: "ip_address", KeyType: "RANGE" },
        ],
        Projection: { ProjectionType: "ALL" },
      },
    ],
  })
  await table.call((abortSignal) =>
    table.client.send(command, { abortSignal }).catch((error: Error) => {
      // Another server makes it too.
      if (error.name !== "ResourceInUseException") throw error
    }),
  )
  const end = clock.monotonic() + patienceMs
  const describe = new DescribeTableCommand({ TableName: table.name })
  for (;;) {
    const { Table: described } = await table.call((abortSignal) => table.client.send(describe, { abortSignal }))
    const indexes = described?.GlobalSecondaryIndexes ?? []
    if (described?.TableStatus === "ACTIVE" && indexes.every((index) => index.IndexStatus === "ACTIVE")) return
    if (clock.monotonic() > end) throw new MeshError("storage_unavailable", `the DynamoDB table ${table.name} is still being created; try again`)
    await sleep(clock, lookEveryMs)
  }
}

/** Whether a call was refused because the table is not there. */
export function isMissingTable(error: unknown): boolean {
  return MeshError.is(error) && (error.cause as Error | undefined)?.name === "ResourceNotFoundException"
}
