import { getOk } from "./mesh.ts"

/** What a discovery server says happened, newest first. */
export async function journalOf(discoveryUrl: string, service: string): Promise<{ id: string; what: string; why: string; by: string; at: number }[]> {
  const { entries } = (await getOk(`${discoveryUrl}/v1/journal?service=${service}&limit=1000`)) as { entries: never[] }
  return entries
}
