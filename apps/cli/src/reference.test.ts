import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { loaded } from "./command.ts"
import { commands as entries } from "./commands/index.ts"
import { VariableOption } from "./options.ts"
import { createProgram } from "./program.ts"
import { fakeContext } from "./testing/fake-context.ts"

const commands = await Promise.all(entries.map(loaded))
const markers = /(<!-- commands -->\n)(.*)(<!-- end of commands -->)/s
const file = join(import.meta.dirname, "../../../docs/reference/command-line.md")
// UPDATE_REFERENCE=1 writes the chapter instead of comparing it.
if (process.env["UPDATE_REFERENCE"])
  writeFileSync(
    file,
    readFileSync(file, "utf8").replace(markers, (_, begin, __, end) => `${begin}\n${chapter()}\n${end}`),
  )
const page = readFileSync(file, "utf8")
const written = markers.exec(page)?.[2]

/** The chapter about commands, as the definitions have it. */
function chapter(): string {
  return commands
    .map(({ path, args, summary, options, examples }) => {
      const named = Object.entries(args).map(([name, text]) => ({ name: name.replace("?", "").toUpperCase(), optional: name.endsWith("?"), text }))
      const words = [...path, ...named.map(({ name, optional }) => (optional ? `[${name}]` : name))]
      const rows = options.map((option) => {
        const variables = option instanceof VariableOption ? option.variables : []
        const text = option.description.replace(/ \[[^\]]*\]$/, "")
        const choices = option.argChoices ? ` (${option.argChoices.join(", ")})` : ""
        const fallback = option.defaultValue === undefined ? "" : ` (default ${option.defaultValueDescription ?? String(option.defaultValue)})`
        return `| \`${option.flags}\` | ${variables.map((name) => `\`${name}\``).join(", ")} | ${text}${choices}${fallback} |\n`
      })
      const head = `## \`meshwork ${words.join(" ")}\`\n\n${summary.charAt(0).toUpperCase()}${summary.slice(1)}.\n\n`
      const described = named.map(({ name, text }) => `- ${name}: ${text}\n`)
      const shown = examples.length === 0 ? "" : `\n\`\`\`sh\n${examples.map((line) => `meshwork ${line}\n`).join("")}\`\`\`\n`
      const table = rows.length === 0 ? "" : `| option | variable | what |\n|---|---|---|\n${rows.join("")}`
      return `${head}${described.length === 0 ? "" : `${described.join("")}${table === "" ? "" : "\n"}`}${table}${shown}`
    })
    .join("\n")
}

it("the reference describes every command and option as the program has them", () => {
  expect(written).toBe(`\n${chapter()}\n`)
})

it("every option has a variable of the mesh", () => {
  for (const { path, options } of commands) {
    for (const option of options) {
      const variables = option instanceof VariableOption ? option.variables : []
      expect(
        variables.some((name) => name.startsWith("MESHWORK_")),
        `${path.join(" ")} ${option.flags}`,
      ).toBe(true)
    }
  }
})

it("register reads every variable that Empusa's users have", () => {
  const options = commands.find(({ path }) => path.join(" ") === "service register")?.options ?? []
  const known = options.flatMap((option) => (option instanceof VariableOption ? option.variables : []))
  const instance = ["TYPE", "NAME", "LOCATION", "TTL", "REFRESH_EVERY"].map((word) => `EMPUSA_SERVICE_${word}`)
  const place = ["ETCD_ENDPOINT", "ETCD_PROTOCOL", "CA_BUNDLE", "TREE_ROOT"].map((word) => `EMPUSA_${word}`)
  expect([...instance, ...place, "REQUESTS_CA_BUNDLE"].filter((name) => !known.includes(name))).toEqual([])
})

it("every command shows an example, of itself and with options that it has", () => {
  for (const { path, options, examples } of commands) {
    expect(examples.length, path.join(" ")).toBeGreaterThan(0)
    const known = options.flatMap(({ flags }) => flags.split(/[ ,]+/).filter((word) => word.startsWith("-")))
    for (const example of examples) {
      expect(example.startsWith(path.join(" ")), example).toBe(true)
      const [own = ""] = example.split(" -- ")
      for (const [flag] of own.matchAll(/(?<= )--?[a-z][a-z-]*/g)) expect(known, example).toContain(flag)
    }
  }
})

it("the program has every command of the list under its words", () => {
  const program = createProgram(fakeContext(), commands, () => {})
  for (const { path } of commands) {
    let here = program
    for (const word of path) {
      const next = here.commands.find((command) => command.name() === word)
      expect(next, path.join(" ")).toBeDefined()
      if (next) here = next
    }
  }
})
