import { mkdir } from "node:fs/promises"
import { dirname } from "node:path"

/**
 * Makes a folder with its parents. Not `mkdir` with `recursive`, which tries for ever where a file system answers ENOENT to making a folder
 * in one that is there, as /proc does.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === "EEXIST") return
    if (code !== "ENOENT" || dirname(path) === path) throw error
    await makeFolder(dirname(path))
    await mkdir(path)
  }
}
