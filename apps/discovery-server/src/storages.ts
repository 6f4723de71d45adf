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
  {
    spelling: "etcd://HOST:PORT/TREE",
    pattern: /^etcd:(\/\/.+)$/,
    create: async (text) => {
      const { createEtcdStorage, parseEtcdSpecification } = await installed("@meshwork/storage-etcd", () => import("@meshwork/storage-etcd"))
      return createEtcdStorage(parseEtcdSpecification(text))
    },
  },
  {
    spelling: "dynamodb://TABLE",
    pattern: /^dynamodb:\/\/(.+)$/,
    create: async (text) => {
      const { createDynamodbStorage } = await installed("@meshwork/storage-dynamodb", () => import("@meshwork/storage-dynamodb"))
      return createDynamodbStorage(dynamodbOptions(text))
    },
  },
]

/** A package that is installed only where it is wanted. Rejects with `invalid_config` that names it. */
async function installed<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (error) {
    if ((error as { code?: string }).code !== "ERR_MODULE_NOT_FOUND") throw error
    throw new MeshError("invalid_config", `this storage needs the package ${name}, which is not installed`, { cause: error })
  }
}

/** `TABLE?region=…&endpoint=…&create=true`. Throws `invalid_config` for other options. */
function dynamodbOptions(text: string): { table: string; region?: string; endpoint?: string; create?: boolean } {
  const [table = "", query = ""] = text.split("?", 2)
  const options = new URLSearchParams(query)
  for (const name of options.keys()) {
    if (!["region", "endpoint", "create"].includes(name)) {
      throw new MeshError("invalid_config", `a dynamodb storage takes region, endpoint and create, not ${JSON.stringify(name.slice(0, 40))}`)
    }
  }
  const [region, endpoint] = [options.get("region"), options.get("endpoint")]
  return {
    table,
    ...(region === null ? {} : { region }),
    ...(endpoint === null ? {} : { endpoint }),
    ...(options.get("create") === "true" ? { create: true } : {}),
  }
}

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
