import { describeStorage } from "../testing/index.ts"
import { createMemoryStorage, memoryDeviations } from "./index.ts"

describeStorage("memory", {
  dataSet: () => {
    const storage = createMemoryStorage()
    return Promise.resolve({ storage: () => storage, dispose: () => storage.close() })
  },
  deviations: memoryDeviations,
})
