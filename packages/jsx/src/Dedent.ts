/**
 * Prompts as template literals.
 */
import { printed } from "./internal/printed.ts"

/**
 * Removes the indentation that a template literal has because of the code around it. Only the literal parts are dedented, by the
 * indentation common to their lines. The lines of the two backticks are dropped if they are otherwise blank. Values are printed as
 * in any prompt: text as it is, lists of text as lines, other data as JSON.
 *
 * @example
 * ```ts
 * import { dedent } from "@smithers/jsx/Dedent"
 *
 * const code = "    return 1"
 * const prompt = dedent`
 *   Explain this line:
 *   ${code}
 * `
 * // "Explain this line:\n    return 1"
 * ```
 */
export const dedent = (strings: TemplateStringsArray, ...values: ReadonlyArray<unknown>): string => {
  // The marker keeps a line that holds only a value from looking blank.
  const marked = strings.join("\0")
  const margins = [...marked.matchAll(/\n([ \t]*)(?=[^ \t\n])/g)].map(([, margin = ""]) => margin)
  const margin = margins.reduce((left, right) => left.slice(0, commonLength(left, right)), margins[0] ?? "")
  const parts = strings.map((string) => string.replaceAll(`\n${margin}`, "\n"))
  const last = parts.length - 1
  parts[0] = (parts[0] ?? "").replace(/^[ \t]*\n/, "")
  parts[last] = (parts[last] ?? "").replace(/\n[ \t]*$/, "")
  return parts.map((part, index) => (index < last ? part + printed(values[index]) : part)).join("")
}

const commonLength = (left: string, right: string): number => {
  let length = 0
  while (length < left.length && left[length] === right[length]) length++
  return length
}
