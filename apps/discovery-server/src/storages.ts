import { MeshError } from "@meshwork/contract"
import type { RegistryStorage } from "@meshwork/registry-core"

interface StorageKind {
  /** How it is spelled, for messages. */
  spelling: string
  pattern: RegExp
  /** Makes the storage from what the pattern caught; its driver is loaded here and not before. */
  create: (argument: string, notice: (message: string) => void) => Promise<RegistryStorage>
}

/** Every storage this server can use. One row per adapter. */
export const storageKinds: readonly StorageKind[] = [
  {
    spelling: "memory",
    pattern: /^memory()$/,
    create: async () => (await import("@meshwork/registry-core/memory")).createMemoryStorage(),
  },
  {
    spelling: "file:PATH",
    pattern: /^file:(.+)$/,
    create: async (path, notice) => (await import("@meshwork/storage-file")).createFileStorage({ path, notice }),
  },
  {
    spelling: "sqlite:PATH",
    pattern: /^sqlite:(.+)$/,
    create: async (path) => (await import("@meshwork/storage-sqlite")).createSqliteStorage({ path }),
  },
  {
    spelling: "etcd://HOST:PORT/TREE",
    pattern: /^etcd:(.*)$/,
    create: async (place, notice) => {
      const { createEtcdStorage, parseEtcdSpecification } = await loaded("etcd", () => import("@meshwork/storage-etcd"))
      return createEtcdStorage({ ...parseEtcdSpecification(place), log: notice })
    },
  },
  {
    spelling: "dynamodb://TABLE",
    pattern: /^dynamodb:(.*)$/,
    create: async (place, notice) => {
      const { createDynamodbStorage, parseDynamodbSpecification } = await loaded("dynamodb", () => import("@meshwork/storage-dynamodb"))
      return createDynamodbStorage({ ...parseDynamodbSpecification(place), notice })
    },
  },
]

/**
 * The storage a `--storage` text names, not yet opened. Rejects with `invalid_config` for an unknown spelling, and where its driver is not installed.
 * @param notice told what an operator should know and no call can say; default nobody
 */
export async function openStorage(spec: string, notice: (message: string) => void = () => {}): Promise<RegistryStorage> {
  for (const kind of storageKinds) {
    const match = kind.pattern.exec(spec)
    if (match) return kind.create(match[1] ?? "", notice)
  }
  const accepted = storageKinds.map((kind) => kind.spelling).join(", ")
  // Only the scheme is repeated: what follows may hold credentials.
  throw new MeshError("invalid_config", `storage "${spec.split(":")[0]?.slice(0, 40)}" is not known; accepted are ${accepted}`)
}

/** Loads an adapter that may be left out of an installation. Rejects with `invalid_config` that names the package that is missing. */
export async function loaded<T>(storage: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== "ERR_MODULE_NOT_FOUND" && code !== "MODULE_NOT_FOUND") throw error
    const missing = /'([^']+)'/.exec(message)?.[1] ?? `@meshwork/storage-${storage}`
    throw new MeshError("invalid_config", `the storage ${storage} needs the package ${missing}, which is not installed: npm install ${missing}`, {
      cause: error,
    })
  }
}
