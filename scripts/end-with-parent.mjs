// Preloaded into programs that `npm start` runs: when their parent is gone without a word, they stop as if asked to.
const parent = process.ppid
setInterval(() => {
  if (process.ppid !== parent) process.kill(process.pid, "SIGTERM")
}, 500).unref()
