import { expect, it } from "vitest"
import { connectionReason } from "./connection-reason.ts"

it.each([
  ["HPE_INVALID_CONSTANT", "what answers there does not speak HTTP"],
  ["ERR_SSL_WRONG_VERSION_NUMBER", "what answers there does not speak TLS"],
  ["EPROTO", "what answers there does not speak TLS"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "its certificate is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT): --ca-bundle names certificates to trust"],
  ["CERT_HAS_EXPIRED", "its certificate is not trusted (CERT_HAS_EXPIRED): --ca-bundle names certificates to trust"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "its certificate is not trusted (UNABLE_TO_VERIFY_LEAF_SIGNATURE): --ca-bundle names certificates to trust"],
  ["ECONNREFUSED", undefined],
  [7, undefined],
])("%s is told as %s", (code, reason) => {
  expect(connectionReason(Object.assign(new Error("x"), { code }), "--ca-bundle")).toBe(reason)
})
