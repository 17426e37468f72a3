/**
 * Processes as `/proc` shows them, and on systems without it as `ps` does. Environments and namespaces are in `/proc` alone.
 */
import { execFileSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs"

/** A process: its parent, the time of its start, the memory that it holds, and the CPU time of itself and of its children that have ended. */
interface Seen {
  readonly pid: number
  readonly parent: number
  /** A number of the time at which it started. With its own number this is the process, and not a later one of that number. */
  readonly start: number
  readonly bytes: number
  readonly cpuMs: number
}

/** Bytes of a page of memory on every system that has `/proc` and runs Bun or Node. */
const pageBytes = 4096

/** Milliseconds of a tick of CPU time, as the kernel shows it to programs. */
const tickMs = 10

/** The ticks of a process and of its children that have ended, in user mode and in the kernel. */
const ticksOf = (fields: ReadonlyArray<string>): number => fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)

const seen = (pid: number): Seen | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    // The name of the program stands in parentheses, and may hold any character.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return {
      pid,
      parent: Number(fields[1]),
      start: Number(fields[19]),
      bytes: Number(fields[21]) * pageBytes,
      cpuMs: ticksOf(fields) * tickMs,
    }
  } catch {
    return undefined
  }
}

const hasProc = existsSync("/proc/self/stat")

/** The processes that `ps` lists. */
export const listed = (): ReadonlyArray<Seen> => {
  try {
    const options = { encoding: "utf8", env: { ...process.env, LC_ALL: "C" }, maxBuffer: 64 * 1024 * 1024 } as const
    const lines = execFileSync("ps", ["-axo", "pid=,ppid=,rss=,lstart="], options).split("\n")
    return lines.flatMap((line) => {
      const [, pid, parent, kilobytes, start = ""] = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(.+?)\s*$/.exec(line) ?? []
      if (pid === undefined) return []
      return [{ pid: Number(pid), parent: Number(parent), start: Date.parse(start), bytes: Number(kilobytes) * 1024, cpuMs: 0 }]
    })
  } catch {
    return []
  }
}

const everyProcess = (): ReadonlyArray<Seen> => (hasProc ? pids().flatMap((pid) => seen(pid) ?? []) : listed())

/** Returns `true` if a process that was seen is still there. */
export const isThere = (pid: number, start: number): boolean =>
  hasProc ? seen(pid)?.start === start : listed().some((one) => one.pid === pid && one.start === start)

const pids = (): ReadonlyArray<number> => {
  try {
    return readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []))
  } catch {
    return []
  }
}

const namespaceOf = (pid: number): string | undefined => {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`)
  } catch {
    return undefined
  }
}

/** Processes in the namespace that a process has to itself. */
export const inNamespaceOf = (init: number): ReadonlyArray<Seen> => {
  const namespace = namespaceOf(init)
  if (namespace === undefined || namespace === namespaceOf(process.pid)) return []
  return pids().flatMap((pid) => {
    const found = namespaceOf(pid) === namespace ? seen(pid) : undefined
    return found === undefined ? [] : [found]
  })
}

/** A process and its descendants, those in sessions of their own among them; the deepest last. */
export const treeOf = (root: number, processes: ReadonlyArray<Seen> = everyProcess()): ReadonlyArray<Seen> => {
  const all = new Map<number, Array<Seen>>()
  let own: Seen | undefined
  for (const found of processes) {
    if (found.pid === root) own = found
    const siblings = all.get(found.parent)
    if (siblings === undefined) all.set(found.parent, [found])
    else siblings.push(found)
  }
  const tree = own === undefined ? [] : [own]
  const queue = [root]
  for (let next = queue.shift(); next !== undefined; next = queue.shift())
    for (const child of all.get(next) ?? []) {
      tree.push(child)
      queue.push(child.pid)
    }
  return tree
}

/** The variable by which processes of a command are known that have left its tree. */
export const markVariable = "SMITHERS_COMMAND_ID"

/** Processes that were started with a mark in their environment, wherever they are now. */
export const marked = (mark: string): ReadonlyArray<Seen> =>
  pids().flatMap((pid) => {
    try {
      const has = readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(`${markVariable}=${mark}`)
      const found = has ? seen(pid) : undefined
      return found === undefined ? [] : [found]
    } catch {
      return []
    }
  })

/** Sends a signal to a process, or with a negative id to a group, that may have ended. */
export const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name)
  } catch {
    // It has ended.
  }
}
