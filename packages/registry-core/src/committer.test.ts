import { ManualClock } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import { Committer } from "./committer.ts"
import type { OpResult, RegistryStorage, StorageOp } from "./storage-port.ts"

const touch: StorageOp = { op: "touch", key: { service: "s", id: "i" }, renewedAt: 1 }

function committing(answer: (ops: readonly StorageOp[]) => Promise<OpResult[]>) {
  const batches: number[] = []
  const said: (string | undefined)[] = []
  const storage: RegistryStorage = {
    name: "scripted",
    open: () => Promise.reject(new Error("not used")),
    commit: (ops) => {
      batches.push(ops.length)
      return answer(ops)
    },
    close: () => Promise.resolve(),
  }
  const committer = new Committer(
    storage,
    new ManualClock(),
    () => {},
    (fault) => said.push(fault?.message),
  )
  return { committer, batches, said }
}

it("an op that no longer stands when its turn comes is withdrawn, and the others of its batch are stored", async () => {
  const { committer, batches } = committing((ops) => Promise.resolve(ops.map(() => ({ ok: true, version: "1", revision: 1 }))))
  let stands = true
  const first = committer.commit(touch)
  const [second, third] = [committer.commit(touch, () => stands), committer.commit(touch)]
  stands = false
  expect([(await first) === "withdrawn", await second, (await third) === "withdrawn", batches]).toEqual([false, "withdrawn", false, [1, 1]])
})

it("a batch of which nothing stands asks the storage nothing, and says nothing about it", async () => {
  const { committer, batches, said } = committing(() => Promise.reject(new Error("away")))
  await expect(committer.commit(touch)).rejects.toMatchObject({ code: "storage_unavailable" })
  expect(await committer.commit(touch, () => false)).toBe("withdrawn")
  expect([batches, said, committer.fault?.message]).toEqual([[1], [expect.stringMatching(/away/)], expect.stringMatching(/away/)])
})
