import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describeStorage } from "@meshwork/registry-core/testing"
import { createFileStorage } from "./index.ts"

describeStorage("file", {
  dataSet: () => {
    const folder = mkdtempSync(join(tmpdir(), "meshwork-file-"))
    const settings = { path: join(folder, "deeper", "registry.log") }
    return Promise.resolve({
      storage: () => createFileStorage(settings),
      writer: { module: new URL("./index.ts", import.meta.url), create: "createFileStorage", options: settings },
      dispose: () => Promise.resolve(rmSync(folder, { recursive: true })),
    })
  },
})
