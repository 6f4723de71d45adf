import { MeshError } from "@meshwork/contract"
import type { RegistryStorage } from "@meshwork/registry-core"

interface StorageKind {
  /** How it is spelled, for messages. */
  spelling: string
  pattern: RegExp
  /** Makes the storage from what the pattern caught; its driver is loaded here and not before. */
  create: (argument: string) => Promise<RegistryStorage>
}

/** Every storage this server can use. One row per adapter. */
const kinds: readonly StorageKind[] = [
  {
    spelling: "memory",
    pattern: /^memory()$/,
    create: async () => (await import("@meshwork/registry-core/memory")).createMemoryStorage(),
  },
  {
    spelling: "file:PATH",
    pattern: /^file:(.+)$/,
    create: async (path) => (await import("@meshwork/storage-file")).createFileStorage({ path }),
  },
  {
    spelling: "sqlite:PATH",
    pattern: /^sqlite:(.+)$/,
    create: async (path) => (await import("@meshwork/storage-sqlite")).createSqliteStorage({ path }),
  },
]

/** The storage a `--storage` text names, not yet opened. Rejects with `invalid_config` for an unknown spelling. */
export async function openStorage(spec: string): Promise<RegistryStorage> {
  for (const kind of kinds) {
    const match = kind.pattern.exec(spec)
    if (match) return kind.create(match[1] ?? "")
  }
  const accepted = kinds.map((kind) => kind.spelling).join(", ")
  // Only the scheme is repeated: what follows may hold credentials.
  throw new MeshError("invalid_config", `storage "${spec.split(":")[0]?.slice(0, 40)}" is not known; accepted are ${accepted}`)
}
