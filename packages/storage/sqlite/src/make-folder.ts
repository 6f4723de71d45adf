import { mkdirSync } from "node:fs"
import { dirname } from "node:path"

/**
 * Makes a folder with its parents. Not `mkdirSync` with `recursive`, which tries for ever where a file system answers ENOENT to making a
 * folder in one that is there, as /proc does.
 */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === "EEXIST") return
    if (code !== "ENOENT" || dirname(path) === path) throw error
    makeFolder(dirname(path))
    mkdirSync(path)
  }
}
