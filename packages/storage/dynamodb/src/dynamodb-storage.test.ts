import { describeStorage } from "@meshwork/registry-core/testing"
import { createDynamodbStorage, dynamodbDeviations } from "./index.ts"
import { ownService } from "./log-row.ts"
import { startDynalite, wayTo } from "./testing/dynalite-server.ts"

describeStorage("dynamodb", {
  deviations: dynamodbDeviations,
  dataSet: async () => {
    const server = await startDynalite("hosts")
    const settings = { table: "hosts", endpoint: server.url }
    return {
      storage: () => createDynamodbStorage(settings),
      writer: { module: new URL("./index.ts", import.meta.url), create: "createDynamodbStorage", options: settings },
      dispose: () => server.close(),
    }
  },
  shared: async () => {
    const server = await startDynalite("hosts")
    const way = await wayTo(server.url)
    // The first server is never cut off.
    let direct = true
    return {
      storage: () => {
        const endpoint = direct ? server.url : way.url
        direct = false
        return createDynamodbStorage({ table: "hosts", endpoint })
      },
      behind: async (_storage, meanwhile) => {
        way.cut = true
        await meanwhile()
        const rows = (await server.items()).filter((item) => item["service"]?.S === ownService && item["sequence"] !== undefined)
        const last = Math.max(...rows.map((item) => Number(item["sequence"]?.N)))
        await server.clear((item) => item["service"]?.S === ownService && item["sequence"] !== undefined && item["sequence"].N !== String(last))
        way.cut = false
      },
      lose: () => server.lose(),
      dispose: async () => {
        await way.close()
        await server.close()
      },
    }
  },
})
