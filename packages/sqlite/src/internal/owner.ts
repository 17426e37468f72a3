/**
 * Who owns a run: a store in a process, as text that another process can hold against the processes that it sees.
 *
 * `<host>:<pid>:<process>:<store>`. A process id is soon given to someone else, so `<process>` says which one was meant: on
 * Linux the namespace in which the id holds and when the process started, elsewhere nothing. Only what is certainly dead counts
 * as dead; for anything else there is the lease.
 */
import * as fs from "node:fs"
import * as os from "node:os"

/** Describes a new store of this process. */
export const make = (): string => {
  const store = crypto.randomUUID().slice(0, 8)
  return [os.hostname(), process.pid, identify(process.pid), store].join(":")
}

/** The host and the process id in an owner text. */
export const read = (owner: string): { readonly host: string; readonly pid: number } | undefined => {
  const [, host, pid] = /^(.*):(\d+):[^:]*:[^:]*$/.exec(owner) ?? []
  return host === undefined ? undefined : { host, pid: Number(pid) }
}

/** Whether an owner is a store of this process. */
export const isOwn = (owner: string): boolean => {
  const [, host, pid, identity] = /^(.*):(\d+):([^:]*):[^:]*$/.exec(owner) ?? []
  return host === os.hostname() && Number(pid) === process.pid && identity === identify(process.pid)
}

/** Whether an owner is another process, and certainly there. */
export const isSeen = (owner: string): boolean => {
  const [, host, pid, identity] = /^(.*):(\d+):([^:]*):[^:]*$/.exec(owner) ?? []
  if (host !== os.hostname() || Number(pid) === process.pid || identity === undefined) return false
  return namespaceOf(identity) === namespaceOf(identify(process.pid)) && !isDead(owner)
}

/** Whether the process that an owner text describes has ended, as far as this process can tell. */
export const isDead = (owner: string): boolean => {
  const [, host, pid, identity] = /^(.*):(\d+):([^:]*):[^:]*$/.exec(owner) ?? []
  if (host !== os.hostname() || pid === undefined || identity === undefined) return false
  if (namespaceOf(identity) !== namespaceOf(identify(process.pid))) return false
  if (!isRunning(Number(pid)) || isZombie(Number(pid))) return true
  const found = identify(Number(pid))
  return found !== "" && identity !== "" && found !== identity
}

/**
 * Whether a run with this `owner` and this lease (epoch ms) is being worked on, as far as this process can tell: one that died on
 * the same machine is noticed at once, any other when its lease is up.
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

/** Whether a process has ended and nobody has asked how: where the first process of a container asks for none, that lasts. */
const isZombie = (pid: number): boolean => statOf(pid)?.[0] === "Z"

/** What `/proc` tells of a process, from the third field on: its state comes first. */
const statOf = (pid: number): ReadonlyArray<string> | undefined => {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8")
    // The second field is the command in parentheses and may hold anything.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  } catch {
    return undefined
  }
}

/** `<namespace>.<start time in clock ticks since boot>`, or nothing where there is no /proc. */
const identify = (pid: number): string => {
  try {
    const namespace = fs.readlinkSync("/proc/self/ns/pid").replace(/\D/g, "")
    const stat = statOf(pid)
    // The 22nd field of all.
    return stat === undefined ? "" : `${namespace}.${stat[19]}`
  } catch {
    return ""
  }
}

const namespaceOf = (identity: string): string => identity.split(".", 1)[0] as string
