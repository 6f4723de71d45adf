import { describeStorage } from "../testing/index.ts"
import { createMemoryStorage } from "./index.ts"

describeStorage("memory", {
  dataSet: () => {
    const storage = createMemoryStorage()
    return Promise.resolve({ storage: () => storage, dispose: () => storage.close() })
  },
  deviations: { volatile: "it keeps nothing outside its process; instances register again within one heartbeat" },
})
