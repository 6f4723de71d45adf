import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { eventually } from "./support/eventually.ts"
import { createMesh } from "./support/mesh.ts"
import { launch, meshwork, root } from "./support/programs.ts"

it("the service of the README registers, serves, is listed, and leaves when asked to stop", async () => {
  const readme = readFileSync(join(root, "README.md"), "utf8")
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> }
  const used = [...readme.matchAll(/npm run (?:-s )?(\w+)/g)].map(([, name = ""]) => name)
  expect(used).toContain("node")
  expect(Object.keys(scripts)).toEqual(expect.arrayContaining(used))
  const code = /<!-- test: hello\.mjs -->\n```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? ""
  const mesh = await createMesh({ storage: "memory" })
  const file = join(mesh.folder, "hello.mjs")
  writeFileSync(file, code.replace("./packages/client-sdk", join(root, "packages/client-sdk")))
  await mesh.startDiscovery()
  const hello = launch("hello", process.execPath, [file], { env: { MESHWORK_SERVER: mesh.discoveryUrl } })
  await eventually("hello serves", 10_000, async () => {
    expect((await mesh.instances("hello")).map((instance) => instance.standing)).toEqual(["serving"])
  })

  const list = meshwork("service list", ["service", "list", "--service", "hello", "--server", mesh.discoveryUrl])
  expect(await list.ended).toBe(0)
  expect(list.stdout()).toMatch(/hello .*serving/)

  hello.kill("SIGTERM")
  await eventually("hello drains", 5000, async () => {
    expect((await mesh.instances("hello")).filter((instance) => instance.standing === "serving")).toEqual([])
  })
  await hello.ended
  expect(await mesh.instances("hello")).toEqual([])
})
