import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { eventually } from "./eventually.ts"
import { freePorts, launch, meshwork, type Program, root, scratchFolder } from "./programs.ts"

/** A mesh of separate processes on ports and storage of its own. */
export interface Mesh {
  readonly folder: string
  readonly gatewayUrl: string
  readonly adminUrl: string
  readonly discoveryUrl: string
  /** `env` is added to its variables. */
  startDiscovery(env?: Record<string, string>): Promise<Program>
  startGateway(): Promise<Program>
  startShop(name: "orders" | "payment"): Promise<Program & { address: string }>
  instances(service: string): Promise<{ id: string; standing: string; host: string; port: number }[]>
}

export interface MeshOptions {
  /** Default SQLite in the mesh's folder. */
  storage?: string
  /** Address discovery binds to. Default loopback. */
  host?: string
  /** What changes need. */
  token?: string
  /** Routes in place of the shop's. */
  routes?: string
}

const shopRoutes = `  - { pathPrefix: /api/orders, service: orders, timeout: 5s }
  - { pathPrefix: /api/payments, service: payment, timeout: 5s }
`

/** Lays out a mesh; nothing runs until it is started. */
export async function createMesh(options: MeshOptions = {}): Promise<Mesh> {
  const folder = scratchFolder()
  const [discovery, gateway, admin] = await freePorts(3)
  const { host = "127.0.0.1", token = "", routes = shopRoutes, storage = `sqlite:${join(folder, "registry.sqlite")}` } = options
  const discoveryUrl = `http://${host}:${discovery}`
  const gatewayUrl = `http://127.0.0.1:${gateway}`
  const adminUrl = `http://127.0.0.1:${admin}`
  const file = join(folder, "meshwork.yaml")
  writeFileSync(
    file,
    `discovery: { host: ${host}, port: ${discovery}, storage: "${storage}", token: "${token}" }
gateway: { host: 127.0.0.1, port: ${gateway}, adminPort: ${admin}, discovery: ["${discoveryUrl}"] }
routes:
${routes}`,
  )
  return {
    folder,
    gatewayUrl,
    adminUrl,
    discoveryUrl,
    async startDiscovery(env = {}) {
      const program = meshwork("discovery", ["discovery", "-c", file], { cwd: folder, env })
      await eventually("discovery is ready", 15_000, () => getOk(`${discoveryUrl}/ready`))
      return program
    },
    async startGateway() {
      const program = meshwork("gateway", ["gateway", "-c", file], { cwd: folder })
      // The admin port is open before the data port is.
      await eventually("the gateway is up", 15_000, () =>
        fetch(gatewayUrl, { signal: AbortSignal.timeout(5000) }).then((response) => response.arrayBuffer()),
      )
      return program
    },
    async startShop(name) {
      const program = launch(name, process.execPath, [join(root, `examples/shop/dist/${name}.js`)], { env: { MESHWORK_SERVER: discoveryUrl } })
      const address = await eventually(`${name} says where it listens`, 15_000, () => {
        const found = / on (127\.0\.0\.1:\d+)\n/.exec(program.stdout())?.[1]
        if (found === undefined) throw new Error(program.stderr())
        return found
      })
      return { ...program, address }
    },
    async instances(service) {
      const list = (await getOk(`${discoveryUrl}/v1/services/${service}/instances`)) as {
        instances: { id: string; standing: string; host: string; port: number }[]
      }
      return list.instances
    },
  }
}

/** JSON of a 2xx answer; throws for every other one. */
export async function getOk(url: string): Promise<unknown> {
  const response = await fetch(url, { signal: AbortSignal.timeout(5000) })
  const text = await response.text()
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text}`)
  return text === "" ? undefined : JSON.parse(text)
}
