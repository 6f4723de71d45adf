const distrust = /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+|CERT_\w+|ERR_TLS_CERT_ALTNAME_INVALID)$/

/** Why a connection failed, in words where the code of Node alone would not say what to do; undefined where it does. `trust` is how other certificates are named. */
export function connectionReason(error: unknown, trust: string): string | undefined {
  const { code } = error as { code?: unknown }
  if (typeof code !== "string") return undefined
  if (code.startsWith("HPE_")) return "what answers there does not speak HTTP"
  if (code === "EPROTO" || code === "ERR_SSL_WRONG_VERSION_NUMBER") return "what answers there does not speak TLS"
  return distrust.test(code) ? `its certificate is not trusted (${code}): ${trust} names certificates to trust` : undefined
}
