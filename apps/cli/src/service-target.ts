import { userInfo } from "node:os"
import { MeshError } from "@meshwork/contract"
import { InvalidArgumentError, type Option } from "commander"
import type { CliContext } from "./context.ts"
import { endpointText, type EtcdEndpoint, parseEndpoints } from "./etcd/endpoints.ts"
import type { EtcdServices } from "./etcd/etcd-services.ts"
import { parseUrls, tokenOptions, VariableOption } from "./options.ts"
import { withProgress } from "./progress.ts"
import { openServer, type ServerConnection } from "./server-connection.ts"
import { callerToken } from "./token.ts"

/** The discovery server where nothing else is said. */
export const localServer = "http://127.0.0.1:8008"

/** Options that say where services are kept, and who asks. */
export interface TargetOptions {
  server?: string[]
  token?: string
  tokenFile?: string
  etcdEndpoint?: EtcdEndpoint[]
  etcdProtocol?: "http" | "https"
  caBundle?: string
  treeRoot?: string
}

/** Where services are kept: at discovery servers, or in a tree of etcd. */
export type Target = { kind: "server"; connection: ServerConnection } | { kind: "etcd"; services: EtcdServices }

/** The options of `TargetOptions`. */
export function targetOptions(): Option[] {
  const server = new VariableOption(
    "--server <urls>",
    `discovery servers, separated by commas; the next one is asked where one is down (default ${localServer})`,
    "MESHWORK_SERVER",
  )
    .argParser(parseUrls)
    .conflicts("etcdEndpoint")
  const endpoint = new VariableOption(
    "--etcd-endpoint <host:port>",
    "etcd servers instead, separated by commas or given several times; needs --tree-root",
    "MESHWORK_ETCD_ENDPOINT",
    "EMPUSA_ETCD_ENDPOINT",
  ).argParser(addEndpoints)
  server.instead = ["etcdEndpoint"]
  endpoint.instead = ["server"]
  return [
    server,
    ...tokenOptions(),
    endpoint,
    new VariableOption(
      "--etcd-protocol <protocol>",
      "for endpoints that are no URLs (default http)",
      "MESHWORK_ETCD_PROTOCOL",
      "EMPUSA_ETCD_PROTOCOL",
    ).choices(["http", "https"]),
    new VariableOption(
      "--ca-bundle <file>",
      "certificates to trust instead of the system's",
      "MESHWORK_CA_BUNDLE",
      "EMPUSA_CA_BUNDLE",
      "REQUESTS_CA_BUNDLE",
    ),
    new VariableOption("--tree-root <prefix>", "what the keys in etcd begin with", "MESHWORK_TREE_ROOT", "EMPUSA_TREE_ROOT"),
  ]
}

/** Opens what the options name: etcd where an endpoint is given, else discovery servers, the local one by default. */
export async function openTarget(context: CliContext, options: TargetOptions): Promise<Target> {
  const { etcdEndpoint: endpoints, server } = options
  if (endpoints === undefined) return { kind: "server", connection: await openServer(context, server ?? [localServer], callerToken(options)) }
  if (server !== undefined) {
    throw new MeshError("invalid_config", "both MESHWORK_SERVER and an etcd endpoint are set: choose with --server or --etcd-endpoint")
  }
  if (options.treeRoot === undefined)
    throw new MeshError("invalid_config", "missing required option '--tree-root' (EMPUSA_TREE_ROOT, MESHWORK_TREE_ROOT)")
  const [{ readCaBundle }, { EtcdClient }, { EtcdServices }, { etcdTree }] = await Promise.all([
    import("./etcd/endpoints.ts"),
    import("./etcd/etcd-client.ts"),
    import("./etcd/etcd-services.ts"),
    import("@meshwork/storage-etcd/tree"),
  ])
  // REQUESTS_CA_BUNDLE is there for others too, and need not exist where nothing is encrypted.
  const encrypted = endpoints.some(({ protocol = options.etcdProtocol }) => protocol === "https")
  const ca = options.caBundle === undefined || !encrypted ? {} : { ca: readCaBundle(options.caBundle) }
  const { clock } = context
  const asking = `asking etcd at ${endpoints.map(endpointText).join(", ")}`
  const told = <T>(call: () => Promise<T>) => withProgress(context, asking, call)
  const client = new EtcdClient({ endpoints, protocol: options.etcdProtocol ?? "http", ...ca, clock, told })
  return { kind: "etcd", services: new EtcdServices(client, etcdTree(options.treeRoot), clock, `meshwork ${userName()}`) }
}

function addEndpoints(text: string, before: EtcdEndpoint[] | undefined): EtcdEndpoint[] {
  try {
    return [...(before ?? []), ...parseEndpoints(text)]
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`)
  }
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // A user without an entry, as in many containers.
    return `uid ${process.getuid?.() ?? "unknown"}`
  }
}
