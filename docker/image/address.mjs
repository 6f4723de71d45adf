import { networkInterfaces } from "node:os"

/** The address other containers find this one at, or loopback where there is none. */
export const ownAddress =
  Object.values(networkInterfaces())
    .flat()
    .find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? "127.0.0.1"
