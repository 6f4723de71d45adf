/** A running container as an engine lists it, with one published port, for tests. */
export function sampleSummary(name: string, port: number, labels: Record<string, string>, more: object = {}): { Id: string } {
  return {
    Id: Buffer.from(name.padEnd(32, "-")).toString("hex").slice(0, 64),
    Names: [`/${name}`],
    Image: "image:1",
    Created: 1_700_000_000,
    State: "running",
    Status: "Up 3 seconds",
    Labels: labels,
    Ports: [{ IP: "0.0.0.0", PrivatePort: 8000, PublicPort: port, Type: "tcp" }],
    ...more,
  } as { Id: string }
}
