import { MeshError } from "@meshwork/contract"

/** What went wrong with a call. */
export interface TableFault {
  error: MeshError
  /** Whether the same call may work a moment later. */
  passing: boolean
}

const configuration: Readonly<Record<string, string>> = {
  AccessDeniedException: "may not be used with these credentials",
  UnrecognizedClientException: "does not know these credentials",
  InvalidSignatureException: "refuses the signature: the credentials or this machine's clock are wrong",
  ExpiredTokenException: "refuses the credentials: they have expired",
  CredentialsProviderError: "needs credentials, and none were found",
  ResourceNotFoundException: "does not exist",
  ValidationException: "refuses a request",
}

const passing: ReadonlySet<string> = new Set([
  "ProvisionedThroughputExceededException",
  "ThrottlingException",
  "RequestLimitExceeded",
  "InternalServerError",
  "ServiceUnavailable",
  "TimeoutError",
  "AbortError",
  "LimitExceededException",
])

/** Reads what the SDK threw: a sentence that names the table, and whether trying again can help. */
export function readFault(table: string, thrown: unknown): TableFault {
  if (MeshError.is(thrown)) return { error: thrown, passing: false }
  const error = thrown as Error & { code?: string; $metadata?: { httpStatusCode?: number } }
  const known = configuration[error.name]
  if (known !== undefined) {
    const detail = error.name === "ValidationException" || error.name === "AccessDeniedException" ? `: ${error.message}` : ""
    return { error: new MeshError("invalid_config", `the DynamoDB table ${table} ${known}${detail}`, { cause: error }), passing: false }
  }
  if (error.name === "ConditionalCheckFailedException") {
    return { error: new MeshError("conflict", `a row of ${table} is not as expected`, { cause: error }), passing: false }
  }
  const unreachable = error.code !== undefined && /^E[A-Z]+$/.test(error.code)
  const temporary = unreachable || passing.has(error.name) || (error.$metadata?.httpStatusCode ?? 0) >= 500
  const what =
    error.name === "AbortError" || error.name === "TimeoutError"
      ? "does not answer in time"
      : `cannot be reached: ${error.message || error.code || error.name}`
  return { error: new MeshError("storage_unavailable", `the DynamoDB table ${table} ${what}`, { cause: error }), passing: temporary }
}
