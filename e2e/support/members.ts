import { join } from "node:path"
import { eventually } from "./eventually.ts"
import { launch, type Program, root } from "./programs.ts"

/** A process that serves one instance. */
export interface Member extends Program {
  /** `host:port`. */
  readonly address: string
}

export interface MemberOptions {
  discoveryUrl: string
  service?: string
  host?: string
  port?: number
  id?: string
  ttlSeconds?: number
  token?: string
  /** Seconds between probes of `/health`; absent = no check. */
  check?: number
  /** A command to start it with, such as `ip netns exec NAME`. */
  within?: readonly string[]
}

/** Starts an instance; resolves when it has registered. */
export async function startMember(options: MemberOptions): Promise<Member> {
  const { discoveryUrl, service = "member", host = "127.0.0.1", port = 0, id, ttlSeconds = 3, token, check, within = [] } = options
  const [command, ...args] = [...within, process.execPath, join(root, "e2e/programs/member.mjs")]
  const program = launch(service, command, args, {
    env: {
      MESHWORK_SERVER: discoveryUrl,
      SERVICE: service,
      HOST: host,
      PORT: String(port),
      TTL: String(ttlSeconds),
      ...(id === undefined ? {} : { ID: id }),
      ...(token === undefined ? {} : { MESHWORK_TOKEN: token }),
      ...(check === undefined ? {} : { CHECK: String(check) }),
    },
  })
  const address = await eventually(`${service} says where it listens`, 20_000, () => {
    const found = / on (\S+:\d+)\n/.exec(program.stdout())?.[1]
    if (found === undefined) throw new Error(program.stderr())
    return found
  })
  return { ...program, address }
}
