import { Agent, request } from "node:http"

/** What became of a run of requests. */
export interface LoadReport {
  sent: number
  failures: string[]
  bodies: string[]
}

/** A run of GETs that can be watched and waited for. */
export interface Load {
  /** Requests answered so far. */
  answered(): number
  finish(): Promise<LoadReport>
  /** Sends nothing new; `finish` then ends soon. */
  stop(): void
}

/** Sends `total` GETs over `connections` keep-alive connections, each after `pauseMs`. Stops by itself. */
export function sendGets(url: string, total: number, connections: number, pauseMs = 0): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const report: LoadReport = { sent: 0, failures: [], bodies: [] }
  let answered = 0
  let stopped = false
  const worker = async (): Promise<void> => {
    while (report.sent < total && !stopped) {
      report.sent++
      const begin = performance.now()
      try {
        const { status, body } = await get(url, agent)
        if (status === 200) report.bodies.push(body)
        else report.failures.push(`${status} after ${Math.round(performance.now() - begin)} ms: ${body}`)
      } catch (error) {
        report.failures.push(`${String(error)} after ${Math.round(performance.now() - begin)} ms`)
      }
      answered++
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
  }
  const done = Promise.all(Array.from({ length: connections }, worker))
  return {
    answered: () => answered,
    stop: () => {
      stopped = true
    },
    finish: async () => {
      await done
      agent.destroy()
      return report
    },
  }
}

function get(url: string, agent: Agent): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const call = request(url, { agent, timeout: 20_000 }, (response) => {
      let body = ""
      response.on("data", (chunk) => (body += String(chunk)))
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }))
      response.on("error", reject)
    })
    call.on("timeout", () => call.destroy(new Error("no answer within 20 s")))
    call.on("error", reject)
    call.end()
  })
}
