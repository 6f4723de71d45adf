/** The one of `servers` that a key belongs to: all who know the same servers agree, and a server that comes or goes moves only its share. Highest
 * random weight (Thaler and Ravishankar, 1996). */
export function rendezvous(key: string, servers: Iterable<string>): string | undefined {
  let best: string | undefined
  let highest = -1
  for (const server of servers) {
    const weight = mixed(hashed(key, hashed(server, 0x811c9dc5)))
    if (weight > highest || (weight === highest && best !== undefined && server < best)) {
      highest = weight
      best = server
    }
  }
  return best
}

/** FNV-1a over UTF-16 units (Fowler, Noll and Vo). */
function hashed(text: string, seed: number): number {
  let hash = seed
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  return hash
}

/** The last step of MurmurHash3 (Austin Appleby), which spreads similar keys evenly. */
function mixed(hash: number): number {
  let value = hash ^ (hash >>> 16)
  value = Math.imul(value, 0x85ebca6b)
  value ^= value >>> 13
  value = Math.imul(value, 0xc2b2ae35)
  return (value ^ (value >>> 16)) >>> 0
}
