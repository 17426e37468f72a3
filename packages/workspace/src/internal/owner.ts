/**
 * The identity of a process, as text that other processes check for its end. Only a process that has certainly ended counts as such.
 */
import { readFileSync, readlinkSync } from "node:fs"
import { hostname } from "node:os"

/** The fields of `/proc/<pid>/stat` from the third on, which is the state. */
const statOf = (pid: number): ReadonlyArray<string> | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    // The second field is the command in parentheses, with any content.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  } catch {
    return undefined
  }
}

/** Names the processes among which a pid is unique. */
const machine = (): string => {
  try {
    return `${hostname()}/${readlinkSync("/proc/self/ns/pid").replace(/\D/g, "")}`
  } catch {
    return hostname()
  }
}

/** Clock ticks since boot at which a process started; empty without /proc. */
const startOf = (pid: number): string => statOf(pid)?.[19] ?? ""

/** Names a process. */
export const ownerOf = (pid: number): string => `${pid} ${startOf(pid)} ${machine()}`

/** `true` if a process exists and has not ended. */
export const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
  } catch (thrown) {
    // Another user's process answers with EPERM.
    return thrown instanceof Error && "code" in thrown && thrown.code !== "ESRCH"
  }
  return statOf(pid)?.[0] !== "Z"
}

/** `true` if the process that a text names has ended, as far as this process can tell. */
export const hasEnded = (owner: string): boolean => {
  const [pid = "", start = "", where = ""] = owner.split(" ")
  if (!/^\d+$/.test(pid)) return true
  if (where !== machine()) return false
  if (!isRunning(Number(pid))) return true
  const now = startOf(Number(pid))
  return start !== "" && now !== "" && start !== now
}
