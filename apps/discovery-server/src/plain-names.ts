const plainName = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/

/** Whether all parameters of a path are names that every rule for one takes: told at once for nearly all of them, without walking the rules. */
export function arePlainNames(params: object): boolean {
  for (const value of Object.values(params)) if (!plainName.test(value as string)) return false
  return true
}
