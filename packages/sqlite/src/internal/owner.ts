/**
 * Identity of an owner: a store in a process, as text that other processes can check for liveness.
 *
 * The format is `<host>:<pid>:<process>:<store>`. Process ids are reused, so `<process>` identifies the process: on Linux by its
 * pid namespace and start time, elsewhere it is empty. Only a process that is certainly dead counts as dead; otherwise the lease
 * decides.
 */
import * as fs from "node:fs"
import * as os from "node:os"

/** Creates the owner text of a new store of this process. */
export const make = (): string => {
  const store = crypto.randomUUID().slice(0, 8)
  return [os.hostname(), process.pid, identify(process.pid), store].join(":")
}

/** Returns the host and the process id of an owner. */
export const read = (owner: string): { readonly host: string; readonly pid: number } | undefined => {
  const [, host, pid] = /^(.*):(\d+):[^:]*:[^:]*$/.exec(owner) ?? []
  return host === undefined ? undefined : { host, pid: Number(pid) }
}

/** Returns `true` if an owner is a store of this process. */
export const isOwn = (owner: string): boolean => {
  const [, host, pid, identity] = /^(.*):(\d+):([^:]*):[^:]*$/.exec(owner) ?? []
  return host === os.hostname() && Number(pid) === process.pid && identity === identify(process.pid)
}

/** Returns `true` if an owner is another process that is certainly alive. */
export const isSeen = (owner: string): boolean => {
  const [, host, pid, identity] = /^(.*):(\d+):([^:]*):[^:]*$/.exec(owner) ?? []
  if (host !== os.hostname() || Number(pid) === process.pid || identity === undefined) return false
  return namespaceOf(identity) === namespaceOf(identify(process.pid)) && !isDead(owner)
}

/** Returns `true` if the process of an owner has ended, as far as this process can tell. */
export const isDead = (owner: string): boolean => {
  const [, host, pid, identity] = /^(.*):(\d+):([^:]*):[^:]*$/.exec(owner) ?? []
  if (host !== os.hostname() || pid === undefined || identity === undefined) return false
  if (namespaceOf(identity) !== namespaceOf(identify(process.pid))) return false
  if (!isRunning(Number(pid)) || isZombie(Number(pid))) return true
  const found = identify(Number(pid))
  return found !== "" && identity !== "" && found !== identity
}

/**
 * Returns `true` if a process works on a run with this `owner` and this lease (epoch ms), as far as this process can tell. The
 * death of a process on the same machine is noticed at once, of any other when its lease expires.
 */
export const isWorking = (run: { readonly owner: string | null; readonly leaseUntil: number | null }, now: number): boolean =>
  run.owner !== null && run.leaseUntil !== null && run.leaseUntil > now && !isDead(run.owner)

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code !== "ESRCH"
  }
}

/** Returns `true` for a process that has ended without being reaped. In a container whose first process reaps none, it stays so. */
const isZombie = (pid: number): boolean => statOf(pid)?.[0] === "Z"

/** Returns the fields of `/proc/<pid>/stat` from the third on, which is the state. */
const statOf = (pid: number): ReadonlyArray<string> | undefined => {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8")
    // The second field is the command in parentheses, with any content.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  } catch {
    return undefined
  }
}

/** Returns `<namespace>.<start time in clock ticks since boot>`; empty without /proc. */
const identify = (pid: number): string => {
  try {
    const namespace = fs.readlinkSync("/proc/self/ns/pid").replace(/\D/g, "")
    const stat = statOf(pid)
    // Field 22 of the file.
    return stat === undefined ? "" : `${namespace}.${stat[19]}`
  } catch {
    return ""
  }
}

const namespaceOf = (identity: string): string => identity.split(".", 1)[0] as string
