/**
 * What the command needs of others, looked at where it cannot be loaded: a newer Bun, and the peers of the package it comes with.
 */
import { facade, find } from "./Provided.ts"

/** The oldest Bun that has all that is used of it. */
const leastBun = "1.3"

/** The peers without which nothing can be loaded. */
const peers = ["effect", "react"]

const numbersOf = (version: string): ReadonlyArray<number> => version.split(/[.-]/, 3).map((part) => Number.parseInt(part, 10) || 0)

const isAtLeast = (version: string, least: string): boolean => {
  const [given, wanted] = [numbersOf(version), numbersOf(least)]
  const at = [0, 1, 2].find((index) => (given[index] ?? 0) !== (wanted[index] ?? 0))
  return at === undefined || (given[at] ?? 0) > (wanted[at] ?? 0)
}

/** Whether a version is in a range of the form `^1.2.3`. */
export const satisfies = (version: string, range: string): boolean =>
  numbersOf(version)[0] === numbersOf(range.slice(1))[0] && isAtLeast(version, range.slice(1))

/** Tells that this Bun is too old. */
export const bunProblem = (version: string): string | undefined =>
  isAtLeast(version, leastBun)
    ? undefined
    : `smithers needs Bun ${leastBun} or later, and this is ${version}. Upgrade it: bun upgrade`

/** Tells which peer is missing, or has a version that nothing works with. */
export const problem = (home: string): string | undefined => {
  const own = find(facade, home)
  const ranges: Readonly<Record<string, string>> = own === undefined ? {} : (JSON.parse(own.manifest).peerDependencies ?? {})
  for (const name of peers) {
    const range = ranges[name]
    if (range === undefined) continue
    const install = `bun add ${name}@${range}`
    const found = find(name, home)
    if (found === undefined) return `smithers needs ${name} ${range}, which is not installed. Install it: ${install}`
    const { version } = JSON.parse(found.manifest)
    if (!satisfies(version, range))
      return `smithers needs ${name} ${range}, and ${found.folder} is ${version}. Install one it works with: ${install}`
  }
  return undefined
}

/** Ends the process with a sentence on the standard error. */
export const refuse = (problem: string): never => {
  process.stderr.write(`${problem}\n`)
  // The code of input that cannot be used; the module that names it is part of what cannot be loaded.
  return process.exit(4)
}
