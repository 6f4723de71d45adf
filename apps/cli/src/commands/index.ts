import type { CommandEntry } from "../command.ts"

/** Every command, in the order of the help. What it needs is loaded when it is called. */
export const commands: readonly CommandEntry[] = [
  {
    path: ["up"],
    summary: "run discovery and gateway in one process",
    load: async () => (await import("./up.ts")).upCommand,
  },
  {
    path: ["discovery"],
    summary: "run a discovery server",
    load: async () => (await import("./discovery.ts")).discoveryCommand,
  },
  {
    path: ["gateway"],
    summary: "run a gateway",
    load: async () => (await import("./gateway.ts")).gatewayCommand,
  },
  {
    path: ["service", "list"],
    summary: "list instances and how they stand; from etcd, what is registered and how long it holds",
    load: async () => (await import("./service-list.ts")).serviceListCommand,
  },
  {
    path: ["service", "get"],
    summary: "show everything about one instance",
    load: async () => (await import("./service-get.ts")).serviceGetCommand,
  },
  {
    path: ["service", "watch"],
    summary: "print every change as it happens, one line each, until Ctrl-C",
    load: async () => (await import("./service-watch.ts")).serviceWatchCommand,
  },
  {
    path: ["service", "register"],
    summary: "register an instance, or replace what is registered under its name",
    load: async () => (await import("./service-register.ts")).serviceRegisterCommand,
  },
  {
    path: ["service", "unregister"],
    summary: "remove an instance; no failure when it is not there",
    load: async () => (await import("./service-unregister.ts")).serviceUnregisterCommand,
  },
  {
    path: ["service", "drain"],
    summary: "send an instance nothing new; what is in flight goes on",
    load: async () => (await import("./service-drain.ts")).serviceDrainCommand,
  },
  {
    path: ["service", "weight"],
    summary: "give an instance another share of the requests; wins over its own wish until taken back",
    load: async () => (await import("./service-weight.ts")).serviceWeightCommand,
  },
  {
    path: ["journal"],
    summary: "show what happened in the registry, newest last: who did what, when and why",
    load: async () => (await import("./journal.ts")).journalCommand,
  },
  {
    path: ["stats"],
    summary: "show what a gateway has counted, route by route; from discovery servers, who serves",
    load: async () => (await import("./stats.ts")).statsCommand,
  },
  {
    path: ["explain"],
    summary: "ask a gateway where a request would go, and why",
    load: async () => (await import("./explain.ts")).explainCommand,
  },
  {
    path: ["check"],
    summary: "validate a configuration file, and say what would surprise",
    load: async () => (await import("./check.ts")).checkCommand,
  },
  {
    path: ["drill", "rolling-restart"],
    summary: "prove a deploy without a failed request: restart a service one instance after the other under load",
    load: async () => (await import("./drill-rolling-restart.ts")).drillRollingRestartCommand,
  },
  {
    path: ["completion"],
    summary: "print a script that completes commands and options in a shell",
    load: async () => (await import("./completion.ts")).completionCommand,
  },
]

/** What the first word of a command of two words stands for. */
export const groups: Readonly<Record<string, string>> = {
  service: "look at services and their instances, register and steer them",
  drill: "prove what the mesh promises, with your own services",
}
