/** Variables by name, like `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

/** A text with its references replaced, or why that was not possible. */
export type Expansion = { text: string; replaced: boolean } | { problem: string; accepted: string }

const reference = /\$?\$\{([^}]*)\}?/g
const wellFormed = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s

/**
 * Replaces `${NAME}` and `${NAME:-default}`; the default counts for an empty variable too, and `$${` is a plain `${`.
 * A variable that is not set and has no default is a problem. Nothing of the environment is repeated in one.
 */
export function expand(text: string, env: Environment): Expansion {
  if (!text.includes("${")) return { text, replaced: false }
  let problem: Expansion | undefined
  const expanded = text.replace(reference, (whole: string, inner: string) => {
    if (whole.startsWith("$$")) return whole.slice(1)
    const parts = whole.endsWith("}") ? wellFormed.exec(inner) : null
    if (parts === null) {
      problem ??= { problem: `"${whole.slice(0, 40)}" is no reference to a variable`, accepted: "${NAME}, ${NAME:-default}, or $${ for a plain ${" }
      return ""
    }
    const [, name = "", fallback] = parts
    const value = Object.hasOwn(env, name) ? env[name] : undefined
    if (fallback !== undefined) return value === undefined || value === "" ? fallback : value
    if (value === undefined) problem ??= { problem: `the variable ${name} is not set`, accepted: `set ${name}, or write \${${name}:-default}` }
    return value ?? ""
  })
  return problem ?? { text: expanded, replaced: true }
}
