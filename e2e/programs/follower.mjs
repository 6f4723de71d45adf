// Follows services over the SDK for scenarios: a line of JSON for each snapshot.
import { createMesh } from "../../packages/client-sdk/dist/index.js"

const { MESHWORK_SERVER, SERVICES } = process.env
const mesh = createMesh({ discovery: MESHWORK_SERVER })
const never = new AbortController().signal
for (const service of SERVICES.split(",")) {
  void (async () => {
    for await (const { instances, stale } of mesh.source.watch(service, never)) {
      const ids = instances.map(({ id, standing }) => `${id} ${standing}`)
      process.stdout.write(`${JSON.stringify({ service, ids, stale: stale === true })}\n`)
    }
  })()
}
