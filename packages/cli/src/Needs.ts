/**
 * Requirements of the command: the version of Bun, and the peers of its package. Checked if the command cannot be loaded.
 */
import { facade, find } from "./BundledPackages.ts"

/** Oldest version of Bun that is supported. */
const leastBun = "1.3"

/** Peers that are needed to load anything. */
const peers = ["effect", "react"]

const numbersOf = (version: string): ReadonlyArray<number> => version.split(/[.-]/, 3).map((part) => Number.parseInt(part, 10) || 0)

const isAtLeast = (version: string, least: string): boolean => {
  const [present, wanted] = [numbersOf(version), numbersOf(least)]
  const at = [0, 1, 2].find((index) => (present[index] ?? 0) !== (wanted[index] ?? 0))
  return at === undefined || (present[at] ?? 0) > (wanted[at] ?? 0)
}

/** Returns `true` if a version is in a range of the form `^1.2.3`. */
export const satisfies = (version: string, range: string): boolean =>
  numbersOf(version)[0] === numbersOf(range.slice(1))[0] && isAtLeast(version, range.slice(1))

/** Returns the problem of a Bun version that is too old. */
export const bunProblem = (version: string): string | undefined =>
  isAtLeast(version, leastBun) ? undefined : `smithers needs Bun ${leastBun} or later; this is ${version}. Upgrade it: bun upgrade`

/** Returns the problem of a peer that is missing or has an unsupported version. */
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
      return `smithers needs ${name} ${range}; ${found.folder} is ${version}. Install a supported version: ${install}`
  }
  return undefined
}

/** Prints a sentence on standard error and ends the process. */
export const refuse = (problem: string): never => {
  process.stderr.write(`${problem}\n`)
  // Exit code of invalid input, as a literal: the module that defines it cannot be loaded.
  return process.exit(4)
}
