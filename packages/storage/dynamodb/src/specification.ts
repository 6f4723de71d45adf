import { MeshError } from "@meshwork/contract"
import type { DynamodbStorageOptions } from "./dynamodb-storage.ts"

const accepted = "dynamodb://TABLE[?region=REGION][&endpoint=URL][&create=true][&ttl=SECONDS]"

type Place = Pick<DynamodbStorageOptions, "table" | "region" | "endpoint" | "create" | "legacyTtlSeconds">

/** What follows `dynamodb:` in a storage's spelling, read; `ttl` is the lease of rows that lyft/discovery itself wrote. Throws `invalid_config`. */
export function parseDynamodbSpecification(text: string): Place {
  const match = /^\/\/([A-Za-z0-9_.-]{3,255})\/?(?:\?(.*))?$/.exec(text)
  if (!match) throw invalid("it has no name of a table, 3 to 255 letters, digits, dots, dashes and underscores")
  const [, table = "", query] = match
  const place: Place = { table }
  for (const [name, value] of new URLSearchParams(query)) {
    const read = readers[name]
    if (read === undefined) throw invalid(`the option ${JSON.stringify(name.slice(0, 40))} is not known`)
    Object.assign(place, read(value))
  }
  return place
}

const readers: Readonly<Record<string, (value: string) => Partial<Place>>> = {
  region: (region) => {
    if (!/^[a-z0-9-]{2,40}$/.test(region)) throw invalid(`${JSON.stringify(region.slice(0, 40))} is no region`)
    return { region }
  },
  endpoint: (endpoint) => {
    if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol)) throw invalid("its endpoint is no http or https URL")
    return { endpoint }
  },
  create: (value) => {
    if (value !== "true" && value !== "false") throw invalid("create is true or false")
    return { create: value === "true" }
  },
  ttl: (value) => {
    const seconds = /^\d{1,5}$/.test(value) ? Number(value) : 0
    if (seconds < 3 || seconds > 86_400) throw invalid("ttl is a number of seconds from 3 to 86,400")
    return { legacyTtlSeconds: seconds }
  },
}

function invalid(why: string): MeshError {
  return new MeshError("invalid_config", `the dynamodb storage cannot be found: ${why}; accepted is ${accepted}`)
}
