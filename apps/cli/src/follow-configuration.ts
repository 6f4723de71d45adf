import { ConfigError, formatIssue, type LoadedConfig, loadConfig } from "@meshwork/config"
import { MeshError } from "@meshwork/contract"
import type { Logger } from "pino"
import type { CliContext } from "./context.ts"
import type { Closable } from "./run-until-stopped.ts"

/** The wish, by SIGHUP, that configuration is read anew. Closing it is idempotent. */
export interface Reloads extends Closable {
  /** Called at every wish from now on, and at once when there was one before. */
  follow(listener: () => void): void
}

/** Hears SIGHUP from now on, so that one that comes while a process still starts does not end it. */
export function hearReloads(context: CliContext): Reloads {
  let early = false
  let heard = (): void => void (early = true)
  const release = context.onReloadSignal(() => heard())
  return {
    follow(listener) {
      heard = listener
      if (early) listener()
      early = false
    },
    async close() {
      release()
    },
  }
}

export interface FollowConfigurationOptions {
  file: string
  reloads: Reloads
  /** What the process was started with. */
  before: LoadedConfig
  log: Pick<Logger, "info" | "warn" | "error">
  /** Makes another configuration count; rejects where it cannot, and then nothing has changed. */
  apply: (config: LoadedConfig) => Promise<void>
  /** Called at every SIGHUP, before the file is read. */
  onSignal?: () => void
}

/**
 * Goes by a configuration file as it changes, and reads it anew at SIGHUP. One that is not accepted is told with everything that is wrong with
 * it, and what was read before stays in use.
 */
export async function followConfiguration(context: CliContext, options: FollowConfigurationOptions): Promise<Closable> {
  const { file, reloads, log, apply, onSignal } = options
  const { watchFiles } = await import("@meshwork/gateway-server")
  let applied = contentOf(options.before)
  const read = async (always: boolean): Promise<void> => {
    try {
      const config = loadConfig(file, { env: context.env })
      const content = contentOf(config)
      if (content === applied && !always) return
      for (const issue of config.warnings) log.warn(formatIssue(issue))
      await apply(config)
      applied = content
    } catch (error) {
      log.error(`${file} is not accepted, so what was read before stays in use: ${reasonOf(error)}`)
    }
  }
  let last: Promise<void> = Promise.resolve()
  const queue = (always: boolean): Promise<void> => (last = last.then(() => read(always)))
  reloads.follow(() => {
    log.info("SIGHUP: the configuration is read anew")
    onSignal?.()
    void queue(true)
  })
  const watch = watchFiles({ paths: () => [file], clock: context.clock, onChange: () => queue(false) })
  return {
    async close() {
      await reloads.close()
      await watch.close()
      await last
    },
  }
}

function contentOf({ warnings: _, ...config }: LoadedConfig): string {
  return JSON.stringify(config)
}

function reasonOf(error: unknown): string {
  return ConfigError.is(error) ? error.issues.map(formatIssue).join("; ") : MeshError.from(error).message
}
