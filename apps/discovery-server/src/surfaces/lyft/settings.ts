/** How the lyft surface behaves. */
export interface LyftSettings {
  /** Lease of a host registered through it. Default 600. */
  hostTtlSeconds?: number
  /** Echoed as `env`. Default `development`. */
  environment?: string
  /** `Cache-Control: max-age` of both queries; absent = no such header. */
  cacheSeconds?: number
  /** Networks from which `auto_ip` is accepted, separated by commas. Default 192.168.0.0/16. */
  autoIpNetworks?: string
}
