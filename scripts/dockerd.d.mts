export declare const baseImage: string
export declare function dockerMissing(): string | undefined
export interface Dockerd {
  /** For DOCKER_HOST. */
  readonly host: string
  readonly socket: string
  readonly folder: string
  /** Runs the `docker` command against it; returns its output, throws when it fails. */
  cli(...words: string[]): string
  /** The same without blocking. */
  run(...words: string[]): Promise<string>
  start(): Promise<void>
  /** Ends the daemon only. */
  end(signal?: NodeJS.Signals): Promise<void>
  /** Removes everything. */
  stop(): Promise<void>
  /** Storage driver in use. */
  storage(): string
}
export declare function startDockerd(options?: { args?: readonly string[]; image?: boolean }): Promise<Dockerd>
