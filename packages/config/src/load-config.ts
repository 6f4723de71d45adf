import { crossCheck } from "./cross-checks.ts"
import { parseConfigText } from "./document.ts"
import type { Environment } from "./environment.ts"
import { ConfigError, type ConfigIssue } from "./issue.ts"
import { type MeshConfig, meshConfigSchema } from "./model.ts"
import { readConfigFile, tooLarge } from "./read-config-file.ts"
import { schemaIssues } from "./schema-issues.ts"
import { spellings } from "./spellings/index.ts"
import { isMapping } from "./values.ts"

const maxIssues = 100

/** A text of a configuration, and the name it goes by in errors. */
export interface ConfigText {
  text: string
  file: string
}

export interface ConfigOptions {
  /** Variables for `${NAME}`; usually `process.env`. */
  env: Environment
  /** Name of a spelling, to read the text as that one whatever it looks like. */
  format?: string | undefined
}

/** A configuration and what was noticed while reading it. */
export interface LoadedConfig extends MeshConfig {
  /** Name of the file it came from. */
  file: string
  /** Name of the spelling it was written in. */
  format: string
  /** What is accepted but would surprise, in the order of lines. */
  warnings: ConfigIssue[]
}

/** Names that `format` can have. */
export const configFormats: readonly string[] = spellings.map((spelling) => spelling.name)

/** Reads a configuration from a file or a text. Throws `ConfigError` with everything that is wrong with it. */
export function loadConfig(source: string | ConfigText, options: ConfigOptions): LoadedConfig {
  if (typeof source !== "string") return parseConfig(source, options)
  const read = readConfigFile(source)
  if ("problem" in read) throw wholeFile(source, read.problem)
  return parseConfig({ text: read.text, file: source }, options)
}

/** Reads a configuration from a text. Throws `ConfigError` with everything that is wrong with it. */
export function parseConfig({ text, file }: ConfigText, { env, format }: ConfigOptions): LoadedConfig {
  const large = tooLarge(Buffer.byteLength(text))
  if (large !== undefined) throw wholeFile(file, large)
  const document = parseConfigText(text, file, env)
  const { value } = document
  if (value === undefined) throw failure(document.issues)
  if (value === null) throw wholeFile(file, "is empty")
  if (!isMapping(value))
    throw failure([document.issue([], { kind: "value", accepted: "a mapping", message: "the file must hold a mapping of sections" })])

  const named = spellings.find((spelling) => spelling.name === format)
  if (format !== undefined && named === undefined) throw wholeFile(file, `cannot be read as ${format}; accepted are ${configFormats.join(", ")}`)
  const spelling = named ?? spellings.find((candidate) => candidate.recognises(value)) ?? spellings.at(-1)
  if (spelling === undefined) throw wholeFile(file, "cannot be read as anything")

  const parsed = spelling.schema.safeParse(value)
  const { errors, warnings } = crossCheck(document, spelling.outline(value))
  const issues = [...document.issues, ...(parsed.success ? [] : schemaIssues(document, parsed.error.issues)), ...errors]
  if (!parsed.success || issues.length > 0) throw failure(issues)
  return { ...meshConfigSchema.parse(parsed.data), file, format: spelling.name, warnings: sorted(warnings) }
}

function wholeFile(file: string, message: string): ConfigError {
  return new ConfigError([{ file, line: 0, column: 0, path: "", kind: "file", message }])
}

function failure(issues: readonly ConfigIssue[]): ConfigError {
  const [first, ...rest] = sorted(issues)
  if (first === undefined) throw new Error("a configuration was refused without a reason")
  const shown = [first, ...rest.slice(0, maxIssues - 1)]
  if (rest.length >= maxIssues) {
    const message = `and ${rest.length + 1 - maxIssues} more errors`
    shown.push({ file: first.file, line: 0, column: 0, path: "", kind: "file", message })
  }
  return new ConfigError(shown)
}

function sorted(issues: readonly ConfigIssue[]): ConfigIssue[] {
  return issues.toSorted((a, b) => a.line - b.line || a.column - b.column)
}
