import { existsSync, readFileSync } from "node:fs"

/**
 * Most memory that this process has had. On Linux of its own memory alone: what `resourceUsage` gives there begins with that of the
 * process that started it.
 */
export const peakBytes = (): number => {
  const status = "/proc/self/status"
  const [, kilobytes] = (existsSync(status) && /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(status, "utf8"))) || []
  return kilobytes === undefined ? process.resourceUsage().maxRSS * 1024 : Number(kilobytes) * 1024
}
