import { describeStorage, SharedData, type SharedLink } from "./index.ts"

describeStorage("shared memory", {
  dataSet: () => {
    const data = new SharedData()
    return Promise.resolve({ storage: () => data.storage(), dispose: () => Promise.resolve() })
  },
  shared: () => {
    const data = new SharedData()
    return Promise.resolve({
      storage: () => data.storage(),
      behind: async (storage, meanwhile) => {
        const link = storage as SharedLink
        link.cut = true
        await meanwhile()
        data.compact()
        link.cut = false
      },
      lose: () => Promise.resolve(data.empty()),
      dispose: () => Promise.resolve(),
    })
  },
  deviations: { unkillable: "it lives in the process of its test" },
})
