/** An `Authorization` header with the password of HTTP Basic as Bearer token; any other header as it is. */
export function bearerOf(authorization: string | undefined): string | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/_-]+=*) *$/i.exec(authorization ?? "")?.[1]
  if (encoded === undefined) return authorization
  const credentials = Buffer.from(encoded, "base64").toString("utf8")
  return `Bearer ${credentials.slice(credentials.indexOf(":") + 1)}`
}
