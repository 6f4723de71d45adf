import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describeStorage } from "@meshwork/registry-core/testing"
import { createSqliteStorage } from "./index.ts"

describeStorage("sqlite", {
  dataSet: () => {
    const folder = mkdtempSync(join(tmpdir(), "meshwork-sqlite-"))
    const settings = { path: join(folder, "deeper", "registry.sqlite") }
    return Promise.resolve({
      storage: () => createSqliteStorage(settings),
      writer: { module: new URL("./index.ts", import.meta.url), create: "createSqliteStorage", options: settings },
      dispose: () => Promise.resolve(rmSync(folder, { recursive: true })),
    })
  },
})
