import { describeStorage, KeptData } from "./index.ts"

describeStorage("kept", {
  dataSet: () => {
    const data = new KeptData()
    return Promise.resolve({ storage: () => data.storage(), dispose: () => Promise.resolve() })
  },
  deviations: { unkillable: "it lives in the process of its test" },
})
