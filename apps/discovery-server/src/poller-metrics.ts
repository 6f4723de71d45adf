import { Counter, Gauge } from "prom-client"
import type { HealthPolling } from "./health-polling.ts"

/** Figures of the poller, read when they are asked for. */
export function pollerMetrics(polling: Pick<HealthPolling, "statistics">): (Gauge | Counter)[] {
  const gauge = (name: string, help: string, value: (figures: ReturnType<HealthPolling["statistics"]>) => number) =>
    new Gauge({
      name: `meshwork_poller_${name}`,
      help,
      registers: [],
      collect() {
        this.set(value(polling.statistics()))
      },
    })
  return [
    gauge("targets", "Instances that this server probes", ({ targets }) => targets),
    gauge("probes_under_way", "Probes that were sent and have not ended", ({ underWay }) => underWay),
    gauge("probes_waiting", "Probes that are due and wait for room", ({ waiting }) => waiting),
    gauge("late_seconds", "How long the longest overdue probe is behind its schedule", ({ lateMs }) => lateMs / 1000),
    gauge("cut_off", "1 while this server seems to be cut off from the network and judges nobody", ({ cutOffSince }) =>
      Number(cutOffSince !== undefined),
    ),
    gauge("history_bytes", "Memory of the histories of probes", ({ historyBytes }) => historyBytes),
    new Counter({
      name: "meshwork_poller_probes_total",
      help: "Probes by how they ended; fault is a fault of this process",
      labelNames: ["result"],
      registers: [],
      collect() {
        this.reset()
        for (const [result, count] of Object.entries(polling.statistics().probes)) this.inc({ result }, count)
      },
    }),
  ]
}
