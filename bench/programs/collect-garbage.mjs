// Loaded before a program: on SIGUSR2 it collects its garbage and says on stderr what is left, in bytes.
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc")
process.on("SIGUSR2", async () => {
  // What the first one sets free, buffers for instance, lets go of more.
  for (let times = 0; times < 3; times++) {
    collect()
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  const { heapUsed, external } = process.memoryUsage()
  process.stderr.write(`memory ${heapUsed} ${external}\n`)
})
