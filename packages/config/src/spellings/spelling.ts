import type { z } from "zod"
import type { DocumentPath } from "../issue.ts"
import type { MeshConfigInput, RouteConfig, RouteTarget } from "../model.ts"

/** A way to write a configuration down. */
export interface Spelling {
  /** What `--format` calls it. */
  readonly name: string
  /** Whether a document looks like this spelling; the first in the list that says so reads it. */
  recognises(document: Readonly<Record<string, unknown>>): boolean
  /** Judges a document and turns it into the model. */
  readonly schema: z.ZodType<MeshConfigInput>
  /** What the document names and refers to, as far as it can be made out even where other parts are wrong. */
  outline(document: Readonly<Record<string, unknown>>): Outline
}

/** The names a document defines and uses, each with its place. */
export interface Outline {
  services: ReadonlySet<string>
  backends: ReadonlyMap<string, DocumentPath>
  routes: readonly RouteOutline[]
  /** Whether a second route for the same requests is merely useless, as it was in the original; default it is an error. */
  firstRouteWins?: boolean
  /** Ports that are listened on, defaults included; 0, any free one, left out. */
  ports: readonly { at: DocumentPath; port: number }[]
  /** Whether services that the document does not define may come from a discovery server. */
  asksDiscovery: boolean
}

/** What one route matches and where it leads; parts that cannot be made out are absent. */
export interface RouteOutline {
  at: DocumentPath
  match?: Pick<RouteConfig, "match" | "path" | "host" | "methods">
  target?: RouteTarget & { at: DocumentPath }
}
