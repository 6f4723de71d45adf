import type { z } from "zod"
import type { ErrorCode } from "./mesh-error.ts"

/** A reply body: JSON of a schema, nothing, or a stream of Server-Sent Events. */
export type ReplyBody = z.ZodType | "empty" | "events"

/** One HTTP route: what the server serves, the SDK calls and OpenAPI shows. */
export interface RouteDefinition {
  method: "GET" | "PUT" | "POST" | "PATCH" | "DELETE"
  /** Path with `:name` parameters, each one percent-encoded segment. */
  path: string
  summary: string
  params?: z.ZodObject
  query?: z.ZodObject
  body?: z.ZodType
  /** Reply bodies by status. */
  replies: Readonly<Record<number, ReplyBody>>
  /** Problem bodies this route can answer with, beside `internal`. */
  errors: readonly ErrorCode[]
  /** Whether it changes the registry, and so needs the token where one is set. */
  mutates?: true
}

type Parsed<T> = T extends z.ZodType ? z.output<T> : undefined
type Sent<T> = T extends z.ZodType ? z.input<T> : undefined
type JsonReplies<R extends RouteDefinition> = Extract<R["replies"][keyof R["replies"]], z.ZodType>

/** What a handler of a route receives, parsed. */
export interface RouteRequest<R extends RouteDefinition> {
  params: Parsed<R["params"]>
  query: Parsed<R["query"]>
  body: Parsed<R["body"]>
}

/** What a caller of a route sends. */
export interface RouteCall<R extends RouteDefinition> {
  params: Sent<R["params"]>
  query: Sent<R["query"]>
  body: Sent<R["body"]>
}

/** The JSON a route answers with, whatever the status; `undefined` for one without a body. */
export type RouteReply<R extends RouteDefinition> = [JsonReplies<R>] extends [never] ? undefined : z.output<JsonReplies<R>>

/** The path of a route with its parameters filled in and percent-encoded. */
export function routePath(route: Pick<RouteDefinition, "path">, params: Readonly<Record<string, string>> = {}): string {
  return route.path.replace(/:([a-z]+)/gi, (_, name: string) => encodeURIComponent(params[name] ?? ""))
}
