import { MeshError } from "@meshwork/contract"

/** What the file system's answers mean, and whether waiting can help. */
const meanings: Readonly<Record<string, readonly ["invalid_config" | "storage_unavailable", string]>> = {
  ENOSPC: ["storage_unavailable", "cannot be written: the disk is full"],
  EDQUOT: ["storage_unavailable", "cannot be written: the quota of the disk is used up"],
  EFBIG: ["storage_unavailable", "cannot be written: it has reached the largest size allowed for a file"],
  EROFS: ["storage_unavailable", "cannot be written: the file system is read-only"],
  EIO: ["storage_unavailable", "cannot be read or written: the disk reports a fault"],
  EACCES: ["invalid_config", "cannot be used: this user may not read and write it and its folder"],
  EPERM: ["invalid_config", "cannot be used: this user may not read and write it and its folder"],
  EISDIR: ["invalid_config", "cannot be used: it is a folder"],
  ENOTDIR: ["invalid_config", "cannot be used: what should be its folder is a file"],
  ELOOP: ["invalid_config", "cannot be used: its symbolic links go round in circles"],
  ENAMETOOLONG: ["invalid_config", "cannot be used: the name is too long"],
}

/** The error of a path whose reading or writing failed, as a sentence; errors of Meshwork pass through. */
export function diskFault(path: string, error: unknown): MeshError {
  if (MeshError.is(error)) return error
  const { code, message } = error as NodeJS.ErrnoException
  const [kind, meaning] = meanings[code ?? ""] ?? ["storage_unavailable", `cannot be used: ${message}`]
  return new MeshError(kind, `${path} ${meaning}`, { cause: error })
}
