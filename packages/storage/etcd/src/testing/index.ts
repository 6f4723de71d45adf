export { breakableLink } from "./breakable-link.ts"
export { hasEtcd, startEtcd } from "./real-etcd.ts"
export type { BreakableLink } from "./breakable-link.ts"
export type { EtcdMember, RealEtcd } from "./real-etcd.ts"
