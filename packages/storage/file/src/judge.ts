import { keyText } from "@meshwork/contract"
import type { OpResult, StorageOp } from "@meshwork/registry-core"
import { encodeLine, type LogEntry } from "./log-line.ts"
import type { Place, RecordIndex, RecordPlace } from "./record-index.ts"

/** The result of an op; a conflict's record is still to be read from where it stood. */
export type Verdict = OpResult | { ok: false; why: "conflict"; at: Readonly<RecordPlace> }

/** Judges ops in order and collects the lines that make them last; until `accept` everything can be taken back. */
export class Judge {
  readonly #index: RecordIndex
  readonly #base: number
  readonly #lines: Buffer[] = []
  readonly #before = new Map<string, RecordPlace | undefined>()
  readonly #buried: (Place & { at: number })[] = []
  #length = 0
  #revision: number

  /** @param base where the first line will stand @param revision counter before the first op */
  constructor(index: RecordIndex, base: number, revision: number) {
    this.#index = index
    this.#base = base
    this.#revision = revision
  }

  /** Counter after the ops so far. */
  get revision(): number {
    return this.#revision
  }

  /** Whether no op changed anything that must be written at once. */
  get empty(): boolean {
    return this.#lines.length === 0
  }

  judge(op: StorageOp, renewed: Map<string, RecordPlace>): Verdict {
    const key = op.op === "put" ? op.record : op.key
    const text = keyText(key)
    const current = this.#index.find(text)
    if (op.op === "touch") {
      if (current === undefined) return { ok: false, why: "missing", current: null }
      current.renewedAt = Math.round(op.renewedAt)
      renewed.set(text, current)
      return { ok: true, version: String(current.revision), revision: this.#revision }
    }
    if ((current === undefined ? null : String(current.revision)) !== op.ifVersion) {
      return current === undefined ? { ok: false, why: "missing", current: null } : { ok: false, why: "conflict", at: { ...current } }
    }
    const revision = ++this.#revision
    const pair = [key.service, key.id] as const
    if (!this.#before.has(text)) this.#before.set(text, current)
    if (op.op === "delete") {
      this.#buried.push({ ...this.append({ delete: revision, key: pair, cause: op.cause }), at: op.cause.at })
      this.#index.set(text, undefined)
    } else {
      const place = this.append({ put: revision, key: pair, cause: op.cause, record: op.record })
      const renewedAt = current?.renewedAt === undefined ? {} : { renewedAt: current.renewedAt }
      this.#index.set(text, { ...place, key: { service: key.service, id: key.id }, revision, ...renewedAt })
    }
    return { ok: true, version: String(revision), revision }
  }

  /** Adds a line and says where it will stand. */
  append(entry: LogEntry): Place {
    const line = encodeLine(entry)
    const offset = this.#base + this.#length
    this.#lines.push(line)
    this.#length += line.length
    return { offset, length: line.length }
  }

  bytes(): Buffer {
    return Buffer.concat(this.#lines)
  }

  /** The lines are on the disk. */
  accept(): void {
    for (const text of this.#before.keys()) this.#index.heal(text)
    for (const tombstone of this.#buried) this.#index.bury(tombstone)
  }

  /** The lines are not on the disk: nothing happened. */
  takeBack(): void {
    for (const [text, place] of this.#before) this.#index.set(text, place)
  }
}
