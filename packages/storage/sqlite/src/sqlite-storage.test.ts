import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describeStorage } from "@meshwork/registry-core/testing"
import { createSqliteStorage } from "./index.ts"

describeStorage("sqlite", {
  dataSet: () => {
    const folder = mkdtempSync(join(tmpdir(), "meshwork-sqlite-"))
    return Promise.resolve({
      storage: () => createSqliteStorage({ path: join(folder, "deeper", "registry.sqlite") }),
      dispose: () => Promise.resolve(rmSync(folder, { recursive: true })),
    })
  },
})
