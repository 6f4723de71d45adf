import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, type YAMLError } from "yaml"
import { type Environment, expand } from "./environment.ts"
import { type ConfigIssue, type DocumentPath, formatPath, type IssueKind } from "./issue.ts"

const maxDepth = 64
const maxNodes = 200_000
const maxSyntaxErrors = 10

/** A file's content as plain values, with the place of each one. */
export interface ConfigDocument {
  readonly file: string
  readonly value: unknown
  readonly issues: ConfigIssue[]
  /** An issue at a value (or at its key), or at the nearest thing around it that exists. */
  issue(at: DocumentPath, what: IssueDetails, where?: "key" | "value"): ConfigIssue
  /** The text as written of a value that came from the environment, else undefined. */
  reference(at: DocumentPath): string | undefined
  /** Whether the value at `at`, or something around it, is already known to be wrong. */
  failed(at: DocumentPath): boolean
}

/** An issue without its place. */
interface IssueDetails {
  kind: IssueKind
  found?: string
  accepted?: string
  message: string
}

interface Place {
  key: number
  value: number
}

const keyOf = (path: DocumentPath) => JSON.stringify(path)

/** Reads YAML (and so JSON) and replaces references to the environment. Never throws for what the text says. */
export function parseConfigText(text: string, file: string, env: Environment): ConfigDocument {
  const lines = new LineCounter()
  const places = new Map<string, Place>()
  const references = new Map<string, string>()
  const broken = new Set<string>()
  const issues: ConfigIssue[] = []
  let nodes = 0

  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const nearest = (path: DocumentPath) => {
    for (let length = path.length; length >= 0; length--) {
      const place = places.get(keyOf(path.slice(0, length)))
      if (place !== undefined) return { place, whole: length === path.length }
    }
    return { place: { key: 0, value: 0 }, whole: false }
  }
  const issue = (path: DocumentPath, what: IssueDetails, where: "key" | "value" = "value"): ConfigIssue => {
    const { place, whole } = nearest(path)
    return { file, ...at(whole && where === "value" ? place.value : place.key), path: formatPath(path), ...what }
  }
  const fail = (path: DocumentPath, what: IssueDetails, where?: "key" | "value") => {
    broken.add(keyOf(path))
    issues.push(issue(path, what, where))
    return undefined
  }

  const doc = parse(text, lines)
  if (doc instanceof RangeError) {
    fail([], { kind: "syntax", message: `nested too deeply; accepted are at most ${maxDepth} levels` })
  } else {
    // What follows a first syntax error mostly follows from it.
    for (const error of [...doc.errors, ...doc.warnings].slice(0, maxSyntaxErrors)) issues.push(syntaxIssue(error))
  }
  const value = doc instanceof RangeError || issues.length > 0 ? undefined : read(doc.contents, [], doc)

  function syntaxIssue(error: YAMLError): ConfigIssue {
    const place = at(error.pos[0])
    const line = text.split("\n", place.line)[place.line - 1] ?? ""
    const hint = line.includes("${") ? "; inside { } and [ ] a text with ${…} needs quotes" : ""
    return { file, ...place, path: "", kind: "syntax", accepted: "YAML or JSON", message: `${error.message.split("\n")[0]}${hint}` }
  }

  function read(node: Node | Pair | null | undefined, path: DocumentPath, root: Document, keyOffset?: number): unknown {
    const offset = (node as Node | null)?.range?.[0] ?? keyOffset ?? 0
    places.set(keyOf(path), { key: keyOffset ?? offset, value: offset })
    if (++nodes > maxNodes) {
      if (nodes === maxNodes + 1) fail(path, { kind: "syntax", message: `too many values (aliases count each time); accepted are ${maxNodes}` })
      return undefined
    }
    if (path.length > maxDepth) return fail(path, { kind: "syntax", message: `nested too deeply; accepted are at most ${maxDepth} levels` })
    if (isAlias(node)) {
      const target = node.resolve(root)
      if (target === undefined)
        return fail(path, {
          kind: "syntax",
          found: `*${node.source}`,
          message: `the alias *${node.source} stands for nothing: no anchor &${node.source} is above it`,
        })
      return read(target, path, root, keyOffset ?? offset)
    }
    if (isScalar(node)) return scalar(node.value, path)
    if (isSeq<Node>(node)) return node.items.map((item, index) => read(item, [...path, index], root))
    if (!isMap<Node, Node>(node)) return null
    const result: Record<string, unknown> = {}
    for (const { key: keyNode, value: item } of node.items) {
      const keyStart = keyNode.range?.[0] ?? offset
      const key = isScalar(keyNode) ? keyText(keyNode.value) : undefined
      if (key === undefined) {
        fail(path, { kind: "syntax", message: "a key must be a plain text" })
        continue
      }
      if (Object.hasOwn(result, key)) {
        const where = { file, ...at(keyStart), path: formatPath([...path, key]) }
        issues.push({ ...where, kind: "duplicate-key", found: key, accepted: "each key once", message: `the key "${key}" is here a second time` })
        continue
      }
      if (key === "__proto__") {
        places.set(keyOf([...path, key]), { key: keyStart, value: keyStart })
        fail([...path, key], { kind: "unknown-key", found: key, message: `the key ${key} is not accepted anywhere` }, "key")
        continue
      }
      result[key] = read(item, [...path, key], root, keyStart)
    }
    return result
  }

  function scalar(value: unknown, path: DocumentPath): unknown {
    if (typeof value === "string") return replaced(value, path)
    if (value === null || typeof value === "number" || typeof value === "boolean") return value
    return fail(path, { kind: "syntax", accepted: "a text, a number, true or false", message: "a tagged value of this kind is not accepted" })
  }

  function replaced(source: string, path: DocumentPath): string | undefined {
    const expansion = expand(source, env)
    if ("problem" in expansion) {
      const { problem, accepted } = expansion
      return fail(path, { kind: "environment", found: source.slice(0, 80), accepted, message: `${problem}; ${accepted}` })
    }
    if (expansion.replaced) references.set(keyOf(path), source)
    return expansion.text
  }

  return {
    file,
    value,
    issues,
    issue,
    reference: (path) => references.get(keyOf(path)),
    failed: (path) => path.some((_, index) => broken.has(keyOf(path.slice(0, index + 1)))),
  }
}

function keyText(key: unknown): string | undefined {
  if (typeof key === "string" || typeof key === "number" || typeof key === "boolean") return String(key)
  return key === null ? "" : undefined
}

function parse(text: string, lineCounter: LineCounter): Document.Parsed | RangeError {
  try {
    const doc = parseDocument(text, { lineCounter, prettyErrors: false, version: "1.2", strict: true, uniqueKeys: false }) as Document.Parsed
    const overflow = doc.errors.find((error) => error.message.startsWith("Maximum call stack"))
    return overflow === undefined ? doc : new RangeError(overflow.message)
  } catch (error) {
    // The parser recurses, and so runs out of stack on thousands of brackets.
    if (error instanceof RangeError) return error
    throw error
  }
}
