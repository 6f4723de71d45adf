import { availability } from "./availability.ts"
import type { BalancerFactory } from "./balancer.ts"
import { leastRequests } from "./least-requests.ts"
import { p2c } from "./p2c.ts"
import { random } from "./random.ts"
import { rendezvousHash } from "./rendezvous-hash.ts"
import { roundRobin } from "./round-robin.ts"

/** Every balancer by the name that configuration uses. */
export const balancers: { readonly [name: string]: BalancerFactory } = {
  "round-robin": roundRobin,
  random,
  "least-requests": leastRequests,
  p2c,
  "rendezvous-hash": rendezvousHash,
  availability,
}

export { availability, leastRequests, p2c, random, rendezvousHash, roundRobin }
export type { Balancer, BalancerFactory, Weighted } from "./balancer.ts"
