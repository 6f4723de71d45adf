import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { expect, it } from "vitest"

const folder = fileURLToPath(new URL("..", import.meta.url))
const pages = ["README.md", "../../docs/guides/calling-services.md"]
const examples = pages.flatMap((page) =>
  [...readFileSync(`${folder}/${page}`, "utf8").matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1] ?? ""),
)

/** What the comments behind `console.log` promise. */
const promised = (example: string) => [...example.matchAll(/console\.log\(.*\/\/ (.*)$/gm)].map((match) => match[1])

it.each<[(string | undefined)[], string]>(examples.filter((example) => promised(example).length > 0).map((example) => [promised(example), example]))(
  "an example of the README or the guide prints %j",
  async (lines, example) => {
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", example], { cwd: folder, timeout: 50_000 })
    expect(stdout.trim().split("\n")).toEqual(lines)
  },
)

it("has six examples that run offline", () => {
  expect(examples.filter((example) => promised(example).length > 0)).toHaveLength(6)
})
