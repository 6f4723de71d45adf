import { type Fields, textOf, wholeNumberOf } from "./body-fields.ts"
import type { Refusal } from "./registration-request.ts"

const missing: Refusal = { refused: { error: "Required parameter 'weight' is missing." } }
const invalid: Refusal = { refused: { error: "Invalid load_balancing_weight. Supply an integer between 1 and 100." } }

/** The weight that a request asks for, or how it is refused. */
export function readWeight(fields: Fields): number | Refusal {
  const sent = fields.get("load_balancing_weight")
  if (sent === undefined || sent === null || sent === "") return missing
  const weight = wholeNumberOf(textOf(fields, "load_balancing_weight"))
  return weight === undefined || weight < 1 || weight > 100 ? invalid : weight
}
