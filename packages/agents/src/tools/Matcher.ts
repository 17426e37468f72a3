/**
 * Matches lines against a regular expression of a model, in a thread of its own: one that takes for ever would hold up the runtime and all its runs. The thread
 * is ended when time is up.
 */

/** A file to match. */
export interface Text {
  readonly path: string
  readonly text: string
}

/** Matches texts until it is stopped. */
export interface Matcher {
  /** Lines that match, as `path:line:text`; `undefined` if that took too long. */
  readonly match: (texts: ReadonlyArray<Text>, most: number, ms: number) => Promise<ReadonlyArray<string> | undefined>
  readonly stop: () => void
}

/** Characters of a line that are looked at and shown. */
const longestLine = 1000

/** The program of the thread. As text, since it has no file of its own in a bundle. */
const program = `
const { parentPort, workerData } = require("node:worker_threads")
const { pattern, flags, longest } = workerData
const expression = new RegExp(pattern, flags)
parentPort.on("message", ({ texts, most }) => {
  const found = []
  for (const { path, text } of texts) {
    if (found.length >= most) break
    for (const [index, whole] of text.split("\\n").entries()) {
      if (found.length >= most) break
      const line = whole.slice(0, longest)
      if (expression.test(line)) found.push(path + ":" + (index + 1) + ":" + line.replace(/\\r$/, ""))
    }
  }
  parentPort.postMessage(found)
})
`

/** Starts a matcher. Rejects for a pattern that is no regular expression. */
export const start = async (pattern: string, flags: string): Promise<Matcher> => {
  try {
    new RegExp(pattern, flags)
  } catch (thrown) {
    throw new Error(`The pattern was refused: ${String(thrown)}`)
  }
  const { Worker } = await import("node:worker_threads")
  const worker = new Worker(program, { eval: true, workerData: { pattern, flags, longest: longestLine } })
  worker.unref()
  return {
    match: (texts, most, ms) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => settle(() => resolve(undefined)), Math.max(0, ms))
        const settle = (act: () => void): void => {
          clearTimeout(timer)
          worker.removeAllListeners()
          act()
        }
        worker.on("message", (found: ReadonlyArray<string>) => settle(() => resolve(found)))
        worker.on("error", (error) => settle(() => reject(error)))
        worker.postMessage({ texts, most })
      }),
    stop: () => {
      void worker.terminate()
    },
  }
}
