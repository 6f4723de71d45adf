import { type AttributeValue, DeleteItemCommand, DynamoDBClient, PutItemCommand, QueryCommand, ScanCommand } from "@aws-sdk/client-dynamodb"
import { type Clock, MeshError, type Random, sleep } from "@meshwork/contract"
import { readFault } from "./table-fault.ts"

/** One row as DynamoDB's protocol spells it. */
export type Item = Record<string, AttributeValue>

/** The key of a row: lyft/discovery's hash and range key. */
export interface RowKey {
  service: string
  range: string
}

/** What must hold of the present row for it to be written. */
export interface Condition {
  expression: string
  /** Stand-ins for names of attributes that DynamoDB reserves. */
  names?: Record<string, string>
  values: Item
}

export interface TableOptions {
  table: string
  /** Default the SDK's own search: environment, profile. */
  region?: string
  /** Address of another DynamoDB than Amazon's; signed with credentials that stand for none unless it is Amazon's too. */
  endpoint?: string
  clock: Clock
  random: Random
}

const attemptMs = 1500
const patienceMs = 3000
const firstBackoffMs = 25

/** A table of DynamoDB: single rows under conditions, ranges, and all of it. Every call ends within 5 s; a fault that may pass is tried again. */
export class Table {
  readonly name: string
  readonly client: DynamoDBClient
  readonly #clock: Clock
  readonly #random: Random

  constructor({ table, region, endpoint, clock, random }: TableOptions) {
    this.name = table
    this.#clock = clock
    this.#random = random
    const foreign = endpoint !== undefined && !/\.amazonaws\.com(?:\.cn)?$/.test(new URL(endpoint).hostname)
    this.client = new DynamoDBClient({
      maxAttempts: 1,
      requestHandler: { connectionTimeout: 1000, requestTimeout: attemptMs, throwOnRequestTimeout: true },
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(region === undefined ? (foreign ? { region: "us-east-1" } : {}) : { region }),
      ...(foreign ? { credentials: { accessKeyId: "none", secretAccessKey: "none" } } : {}),
    })
  }

  /** Puts a row; false when the condition does not hold. Tried again after a fault, so that the condition must hold for a row put twice. */
  put(item: Item, condition?: Condition): Promise<boolean> {
    const command = new PutItemCommand({ TableName: this.name, Item: item, ...words(condition) })
    return this.#conditional((signal) => this.client.send(command, { abortSignal: signal }))
  }

  /** Puts a row in one attempt; false when the condition does not hold. Rejects when it may have been put or not. */
  putOnce(item: Item, condition: Condition): Promise<boolean> {
    const command = new PutItemCommand({ TableName: this.name, Item: item, ...words(condition) })
    return this.#conditional((signal) => this.client.send(command, { abortSignal: signal }), 0)
  }

  /** Deletes a row; false when the condition does not hold. */
  delete(key: RowKey, condition?: Condition): Promise<boolean> {
    const command = new DeleteItemCommand({
      TableName: this.name,
      Key: { service: { S: key.service }, ip_address: { S: key.range } },
      ...words(condition),
    })
    return this.#conditional((signal) => this.client.send(command, { abortSignal: signal }))
  }

  /** Rows of one service from one range key to another, as they stand now; at most `limit` where given. */
  async range(service: string, from: string, to: string, limit?: number): Promise<Item[]> {
    const items: Item[] = []
    let start: Item | undefined
    do {
      const query = new QueryCommand({
        TableName: this.name,
        ConsistentRead: true,
        KeyConditionExpression: "service = :service AND ip_address BETWEEN :from AND :to",
        ExpressionAttributeValues: { ":service": { S: service }, ":from": { S: from }, ":to": { S: to } },
        ...(limit === undefined ? {} : { Limit: limit - items.length }),
        ...(start === undefined ? {} : { ExclusiveStartKey: start }),
      })
      const page = await this.call((signal) => this.client.send(query, { abortSignal: signal }))
      items.push(...(page.Items ?? []))
      start = page.LastEvaluatedKey
    } while (start !== undefined && (limit === undefined || items.length < limit))
    return items
  }

  /** Every row, a page at a time; `consistent` as each stands when its page is read, else as it stood lately. */
  async *scan(consistent: boolean): AsyncGenerator<Item[], void> {
    let start: Item | undefined
    do {
      const words = start === undefined ? {} : { ExclusiveStartKey: start }
      const scan = new ScanCommand({ TableName: this.name, ConsistentRead: consistent, ...words })
      const page = await this.call((signal) => this.client.send(scan, { abortSignal: signal }))
      yield page.Items ?? []
      start = page.LastEvaluatedKey
    } while (start !== undefined)
  }

  /** Makes a call until it is answered, for at most `patience` ms. Rejects with the sentence of what is wrong. */
  async call<T>(attempt: (signal: AbortSignal) => Promise<T>, patience: number = patienceMs): Promise<T> {
    const end = this.#clock.monotonic() + patience
    for (let backoff = firstBackoffMs; ; backoff *= 2) {
      const limit = new AbortController()
      const timer = this.#clock.timer(attemptMs, () => limit.abort())
      try {
        return await attempt(limit.signal)
      } catch (error) {
        const fault = readFault(this.name, error)
        const pause = backoff * (0.5 + this.#random())
        if (!fault.passing || this.#clock.monotonic() + pause >= end) throw fault.error
        await sleep(this.#clock, pause)
      } finally {
        timer.cancel()
      }
    }
  }

  close(): void {
    this.client.destroy()
  }

  async #conditional(attempt: (signal: AbortSignal) => Promise<unknown>, patience?: number): Promise<boolean> {
    try {
      await this.call(attempt, patience)
      return true
    } catch (error) {
      if (MeshError.is(error) && error.code === "conflict") return false
      throw error
    }
  }
}

function words(condition: Condition | undefined) {
  if (condition === undefined) return {}
  const { expression: ConditionExpression, names, values: ExpressionAttributeValues } = condition
  return { ConditionExpression, ExpressionAttributeValues, ...(names ? { ExpressionAttributeNames: names } : {}) }
}
