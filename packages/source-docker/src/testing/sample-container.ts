import type { Container } from "../engine.ts"

/** A container that runs and publishes 8000 on 32768, for tests. */
export function sampleContainer(over: Partial<Container> & { name?: string } = {}): Container {
  const name = over.name ?? "one"
  return {
    id: Buffer.from(name.padEnd(32, "-")).toString("hex").slice(0, 64),
    name,
    image: "image:1",
    created: 1_700_000_000,
    state: "running",
    health: "none",
    labels: {},
    ports: [{ privatePort: 8000, publicPort: 32_768, ip: "0.0.0.0", type: "tcp" }],
    networks: [],
    hostNetwork: false,
    ...over,
  }
}
