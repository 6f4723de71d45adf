import { MeshError } from "@meshwork/contract"

/** Keys and list positions that lead to a value of the document. */
export type DocumentPath = readonly (string | number)[]

/** One thing that is wrong in a configuration file, or would surprise. */
export interface ConfigIssue {
  file: string
  /** From 1; 0 when the file as a whole is meant. */
  line: number
  column: number
  /** Place in the document, such as `routes[2].timeout`; empty for the whole. */
  path: string
  /** What kind of thing it is, for programs. */
  kind: IssueKind
  /** What the document says there; secrets and values of the environment are not repeated. */
  found?: string
  /** What would have been right. */
  accepted?: string
  /** A whole sentence with both. */
  message: string
}

export type IssueKind =
  | "file"
  | "syntax"
  | "duplicate-key"
  | "unknown-key"
  | "missing"
  | "value"
  | "environment"
  | "unknown-service"
  | "unknown-backend"
  | "duplicate-route"
  | "shadowed-route"
  | "unused-backend"
  | "shared-port"

/** An issue as one line: `file:line:column: path: sentence`. */
export function formatIssue(issue: ConfigIssue): string {
  const place = issue.line === 0 ? issue.file : `${issue.file}:${issue.line}:${issue.column}`
  return `${place}: ${issue.path === "" ? "" : `${issue.path}: `}${issue.message}`
}

/** A path the way people write it: `services.payment.instances[0]`, with names that are no words in quotes. */
export function formatPath(path: DocumentPath): string {
  let text = ""
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`
    else if (/^[\w-]+$/.test(step)) text += text === "" ? step : `.${step}`
    else text += `[${JSON.stringify(step.length > 80 ? `${step.slice(0, 80)}…` : step)}]`
  }
  return text
}

/** A configuration that cannot be used: `invalid_config` with every error in the file, in the order of its lines. */
export class ConfigError extends MeshError {
  readonly issues: readonly ConfigIssue[]

  constructor(issues: readonly ConfigIssue[]) {
    super("invalid_config", issues.map(formatIssue).join("\n"))
    this.issues = issues
  }

  /** Recognises a ConfigError of any installed copy of this package. */
  static override is(value: unknown): value is ConfigError {
    return MeshError.is(value) && Array.isArray((value as { issues?: unknown }).issues)
  }
}
