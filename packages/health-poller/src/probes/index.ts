import type { ProbeKind } from "../probe.ts"
import { httpProbe } from "./http.ts"
import { icmpProbe } from "./icmp.ts"
import { tcpProbe } from "./tcp.ts"

/** Every kind of probe, the most particular first; the last one takes what is left. One line each. */
export const probes: readonly ProbeKind[] = [icmpProbe, tcpProbe, httpProbe]
