/** Where the time of an exchange went: with the instance that was tried last, from `sentAt` on, and everything before it; all in ms. */
export function serverTiming({ ms, sentAt, attempts }: { ms: number; sentAt: number | undefined; attempts: number }): string {
  const upstream = sentAt === undefined ? "" : `, upstream;dur=${(ms - sentAt).toFixed(1)}`
  return `gateway;dur=${(sentAt ?? ms).toFixed(1)}${upstream}${attempts > 1 ? `, attempts;desc="${attempts}"` : ""}`
}
