/**
 * What a person is asked, as it is shown wherever one decides: whole, with its lines as they are, and marked at the side, so that nothing in
 * it passes for a line of ours. Plain functions of a wait.
 */
import type { WaitSummary } from "@smithers/core/RunReader"
import { neutralise, oneLine, pretty } from "./Text.ts"

/** Those who may decide, where the author has named them. */
export const approversOf = ({ kind, request }: Pick<WaitSummary, "kind" | "request">): ReadonlyArray<string> => {
  const { approvers } = (request ?? {}) as { readonly approvers?: unknown }
  return kind === "approval" && Array.isArray(approvers) ? approvers.map(String) : []
}

/** Some names, one of which will do; `most` of them at most. */
export const oneOf = (names: ReadonlyArray<string>, most = 5): string => {
  const shown = names.length > most ? [...names.slice(0, most), `${names.length - most} more`] : names
  return shown.length > 1
    ? `${shown.slice(0, -1).map(oneLine).join(", ")} or ${oneLine(shown.at(-1) ?? "")}`
    : shown.map(oneLine).join()
}

/** What is said first, without its name. */
const leading: ReadonlyArray<string> = ["title", "prompt", "summary", "details"]

/** What is no part of what is asked: who may decide is in a line of its own, and an answer is held against its schema. */
const apart = { approval: ["approvers"], human: ["schema"] } as const

const isNothing = (value: unknown): boolean => value === undefined || value === null || value === ""

const linesOf = (value: unknown): ReadonlyArray<string> => neutralise(pretty(value)).split("\n")

/** A field under its name, beside it where it is one line. */
const named = (name: string, value: unknown): ReadonlyArray<string> => {
  const [first = "", ...rest] = linesOf(value)
  return rest.length === 0 ? [`${oneLine(name)}: ${first}`] : [`${oneLine(name)}:`, ...[first, ...rest].map((line) => `  ${line}`)]
}

const asked = (kind: keyof typeof apart, request: unknown): ReadonlyArray<string> => {
  if (typeof request !== "object" || request === null || Array.isArray(request)) return isNothing(request) ? [] : linesOf(request)
  const fields = request as { readonly [name: string]: unknown }
  const said = leading.filter((name) => !isNothing(fields[name])).map((name) => linesOf(fields[name]))
  const isSaid: ReadonlySet<string> = new Set([...leading, ...apart[kind]])
  const others = Object.entries(fields).filter(([name, value]) => !isSaid.has(name) && !isNothing(value))
  const rest = others.flatMap(([name, value]) => named(name, value))
  return [...said, ...(rest.length === 0 ? [] : [rest])].flatMap((lines, index) => (index === 0 ? lines : ["", ...lines]))
}

/** What a person is asked, and who may decide; nothing of a wait that asks nobody. */
export const questionLines = (wait: Pick<WaitSummary, "kind" | "request">): ReadonlyArray<string> => {
  const { kind, request } = wait
  if (kind !== "approval" && kind !== "human") return []
  const approvers = approversOf(wait)
  const who = approvers.length === 0 ? [] : [`It is for ${oneOf(approvers, Number.POSITIVE_INFINITY)} to decide.`]
  return [...asked(kind, request).map((line) => `│ ${line}`.trimEnd()), ...who]
}
