import type { StorageDeviations } from "@meshwork/registry-core"

/** What dynalite, on which the tests run, does otherwise than DynamoDB. */
export const dynamodbDeviations: StorageDeviations = {
  unseen: {
    throttling: "dynalite never refuses for too many requests; such a call is tried again for 3 s, then the table counts as not answering",
    "lagging reads":
      "dynalite's reads never lag; whatever decides is read consistently, and the census, which is not, writes nothing without a condition",
    "empty index keys": "dynalite takes an empty key of an index; a repository that is empty is left out of every row",
    "time to live": "dynalite has none; nothing relies on it, what is over is deleted by the servers",
    transactions: "dynalite has none; none are used, every write is one row under a condition",
    credentials: "dynalite checks no signature and no permission; what DynamoDB answers then is told as it was documented",
    "several machines": "dynalite is one process; lost answers and cut connections are made by a proxy before it",
  },
}
