import { readdirSync, readFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

const root = dirname(fileURLToPath(import.meta.url))

/** Every export of every workspace package, pointed at its source, so that tests see one copy of each module. */
function sourceAliases(): { find: RegExp; replacement: string }[] {
  const rooms = ["packages", "packages/storage", "apps"].flatMap((folder) => readdirSync(join(root, folder)).map((room) => join(root, folder, room)))
  return rooms.flatMap((room) => {
    let manifest: { name: string; exports: Record<string, { default?: string }> }
    try {
      manifest = JSON.parse(readFileSync(join(room, "package.json"), "utf8"))
    } catch {
      return []
    }
    return Object.entries(manifest.exports).flatMap(([subpath, target]) =>
      target.default === undefined
        ? []
        : [
            {
              find: new RegExp(`^${manifest.name}${subpath.slice(1)}$`),
              replacement: join(room, target.default.replace("/dist/", "/src/").replace(/\.js$/, ".ts")),
            },
          ],
    )
  })
}

export default defineConfig({
  resolve: { alias: sourceAliases() },
  test: {
    include: ["packages/**/src/**/*.test.ts", "apps/*/src/**/*.test.ts", "examples/*/src/**/*.test.ts", "scripts/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**"],
    // Patience for a busy machine: whoever waits for something goes on when it is there.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 15_000 } },
    // Many of them wait for real servers most of the time.
    maxWorkers: Math.max(2, availableParallelism() - 1),
  },
})
