/**
 * Formats the request that a person decides on: in full, with its line breaks. A mark in the margin keeps its lines from looking
 * like ours. Pure functions of a wait.
 */
import { optionsIn } from "@smithers/core/Decision"
import type { WaitSummary } from "@smithers/core/RunReader"
import { neutralise, oneLine, pretty } from "./Text.ts"

/** Returns the approvers named by the author. */
export const approversOf = ({ kind, request }: Pick<WaitSummary, "kind" | "request">): ReadonlyArray<string> => {
  const { approvers } = (request ?? {}) as { readonly approvers?: unknown }
  return kind === "approval" && Array.isArray(approvers) ? approvers.map(String) : []
}

/** Formats a list of names joined by "or", with at most `most` of them. */
export const oneOf = (names: ReadonlyArray<string>, most = 5): string => {
  const shown = names.length > most ? [...names.slice(0, most), `${names.length - most} more`] : names
  return shown.length > 1
    ? `${shown.slice(0, -1).map(oneLine).join(", ")} or ${oneLine(shown.at(-1) ?? "")}`
    : shown.map(oneLine).join()
}

/** Fields shown first, without their names. */
const leading: ReadonlyArray<string> = ["title", "prompt", "summary", "details"]

/** Fields that are not part of the question: approvers have a line of their own, and the schema only validates the answer. */
const apart = { approval: ["approvers", "options"], human: ["schema"] } as const

const isNothing = (value: unknown): boolean => value === undefined || value === null || value === ""

const linesOf = (value: unknown): ReadonlyArray<string> => neutralise(pretty(value)).split("\n")

/** Formats a named field, on one line if its value has one. */
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
  const options = kind === "approval" ? (optionsIn(fields) ?? []) : []
  const choices = options.map(({ key, label = key, summary }) => {
    const said = [label === key ? "" : label, summary ?? ""].filter((text) => text !== "").map(oneLine)
    return `${oneLine(key)}${said.length === 0 ? "" : `: ${said.join(". ")}`}`
  })
  const list = choices.length === 0 ? [] : ["Options:", ...choices.map((line) => `  ${line}`)]
  const rest = [...list, ...others.flatMap(([name, value]) => named(name, value))]
  return [...said, ...(rest.length === 0 ? [] : [rest])].flatMap((lines, index) => (index === 0 ? lines : ["", ...lines]))
}

/** Formats a request and its approvers; empty for a wait that asks no person. */
export const questionLines = (wait: Pick<WaitSummary, "kind" | "request">): ReadonlyArray<string> => {
  const { kind, request } = wait
  if (kind !== "approval" && kind !== "human") return []
  const approvers = approversOf(wait)
  const who = approvers.length === 0 ? [] : [`Approvers: ${oneOf(approvers, Number.POSITIVE_INFINITY)}.`]
  return [...asked(kind, request).map((line) => `│ ${line}`.trimEnd()), ...who]
}
