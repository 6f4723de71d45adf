/** What is odd about a container, by name: each is said once for as long as the container is there. */
export interface Warning {
  readonly kind:
    | "unknown-label"
    | "malformed-label"
    | "route-without-service"
    | "route-taken"
    | "no-port"
    | "several-ports"
    | "port-not-published"
    | "unreachable-address"
    | "survived-signal"
  /** A sentence about the container, which is named by whoever says it. */
  readonly message: string
}
