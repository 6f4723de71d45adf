declare module "dynalite" {
  import type { Server } from "node:http"
  /** A stand-in for DynamoDB that keeps everything in memory. */
  export default function dynalite(options: { createTableMs?: number; deleteTableMs?: number; updateTableMs?: number }): Server
}
