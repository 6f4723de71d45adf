export { sleep, systemClock, systemRandom } from "./clock.ts"
export type { Clock, Random, Timer } from "./clock.ts"
export { formatHostPort, hostSchema, instanceIdSchema, normalizeHost, parseHostPort, portSchema, serviceNameSchema } from "./identity.ts"
export {
  checkSchema,
  healthSchema,
  instanceRecordSchema,
  instanceSchema,
  keyText,
  leaseSchema,
  loadSchema,
  originSchema,
  overrideSchema,
  prioritySchema,
  probingSchema,
  recordFormat,
  registrationSchema,
  standingSchema,
  stateSchema,
  suspicionSchema,
  tagsSchema,
  weightSchema,
} from "./service-model.ts"
export type {
  Check,
  Health,
  HealthStatus,
  Instance,
  InstanceKey,
  InstancePriority,
  InstanceRecord,
  InstanceState,
  Lease,
  Load,
  Origin,
  Override,
  Probing,
  Registration,
  RegistrationInput,
  Standing,
  Suspicion,
  Tags,
} from "./service-model.ts"
export { effectiveState, standingOf } from "./standing.ts"
export type { StandingInput } from "./standing.ts"
export { errorCodes, isErrorCode, MeshError } from "./mesh-error.ts"
export type { ErrorCode, MeshErrorOptions, Retry } from "./mesh-error.ts"
export { fromProblem, problemContentType, problemSchema, toProblem } from "./problem.ts"
export type { Problem, ProblemReply } from "./problem.ts"
export { routePath } from "./route.ts"
export type { ReplyBody, RouteCall, RouteDefinition, RouteReply, RouteRequest } from "./route.ts"
export { beatSchema, gatewayReportSchema, instanceFilterSchema, journalEntrySchema, patchSchema, routes } from "./routes.ts"
export type { Beat, GatewayReport, InstanceDetail, InstanceFilter, InstancePatch, JournalEntry, RouteName, Routes } from "./routes.ts"
export type { InstanceSource, ServiceCatalog, ServiceSnapshot } from "./source.ts"
export { formatWatchToken, parseWatchToken, watchEventSchemas, watchKeepAliveMs, watchSilenceMs } from "./watch-events.ts"
export type { WatchEvent, WatchEventData, WatchEventName, WatchToken } from "./watch-events.ts"
