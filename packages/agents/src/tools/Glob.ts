/**
 * Globs of paths: `*` within a name, `**` across directories, `?`, and `{a,b}`. A path is matched in one pass, whatever the glob: as a regular expression some
 * globs would take longer than anybody waits.
 */

/** A part of a glob. */
type Part =
  | { readonly is: "text"; readonly text: string }
  /** `enter` begins directories, of which there may be none; `inside` is within them, up to a slash. */
  | { readonly is: "one" | "name" | "all" | "enter" | "inside" }

/** Alternatives that one glob may stand for. */
const mostAlternatives = 256

/** The globs without braces that a glob stands for. */
const alternatives = (glob: string): ReadonlyArray<string> => {
  const made: Array<string> = []
  const queue = [glob]
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const found = /\{([^{}]*)\}/.exec(next)
    if (found === null || made.length + queue.length > mostAlternatives) made.push(next)
    else {
      const [whole, names = ""] = found
      for (const name of names.split(",")) queue.push(next.slice(0, found.index) + name + next.slice(found.index + whole.length))
    }
  }
  return made
}

const partsOf = (glob: string): ReadonlyArray<Part> =>
  [...glob.matchAll(/\*\*\/|\*\*|\*|\?|[^*?]/gu)].flatMap(([text]): ReadonlyArray<Part> => {
    if (text === "**/") return [{ is: "enter" }, { is: "inside" }]
    if (text === "**") return [{ is: "all" }]
    return [text === "*" ? { is: "name" } : text === "?" ? { is: "one" } : { is: "text", text }]
  })

/** The parts that one character leads to. */
const steps = (part: Part, index: number, character: string): ReadonlyArray<number> => {
  const isSlash = character === "/"
  switch (part.is) {
    case "text":
      return part.text === character ? [index + 1] : []
    case "one":
      return isSlash ? [] : [index + 1]
    case "name":
      return isSlash ? [] : [index]
    case "all":
      return [index]
    case "enter":
      return isSlash ? [index + 1, index + 2] : [index + 1]
    case "inside":
      return isSlash ? [index, index + 1] : [index]
  }
}

/** Adds the parts that are reached over others that stand for nothing. */
const closed = (parts: ReadonlyArray<Part>, indexes: Iterable<number>): Set<number> => {
  const all = new Set(indexes)
  for (const index of all) {
    const is = parts[index]?.is
    if (is === "name" || is === "all") all.add(index + 1)
    if (is === "enter") all.add(index + 2)
  }
  return all
}

/** `true` if a path matches all parts: those that are possible are kept, character by character. */
const matches = (parts: ReadonlyArray<Part>, path: string): boolean => {
  let indexes = closed(parts, [0])
  for (const character of path) {
    const next = [...indexes].flatMap((index) => {
      const part = parts[index]
      return part === undefined ? [] : steps(part, index, character)
    })
    indexes = closed(parts, next)
    if (indexes.size === 0) return false
  }
  return indexes.has(parts.length)
}

/** Compiles a glob. One without a slash matches names in any directory. */
export const compile = (glob: string): ((path: string) => boolean) => {
  const all = alternatives(glob).map(partsOf)
  const isOfNames = !glob.includes("/")
  return (path) => {
    const looked = isOfNames ? (path.split("/").at(-1) ?? path) : path
    return all.some((parts) => matches(parts, looked))
  }
}
