/** All state of the page, in its address. Pure: an address in, a place out, and back. */

export const views = ["runs", "run", "inbox", "schedules", "workflows", "workflow", "costs", "database"] as const
export type View = (typeof views)[number]

/** What one looks at. Fields that are `undefined` are at their default, and not in the address. */
export interface Place {
  readonly view: View
  /** The run, or the workflow, of the view. */
  readonly id?: string
  readonly query: Query
}

/** Names in the query of an address. */
export const names = [
  // Of the run page.
  "tab",
  "node",
  "in",
  "iteration",
  "attempt",
  "frame",
  "panel",
  "as",
  "open",
  "from",
  "to",
  "against",
  // Filters.
  "status",
  "workflow",
  "tag",
  "q",
  "waiting",
  "stuck",
  "parent",
  "forkedFrom",
  "kind",
  "by",
  "only",
  // Selection in lists.
  "at",
] as const
export type Name = (typeof names)[number]
export type Query = { readonly [N in Name]?: string | undefined }

const isName = (name: string): name is Name => names.some((known) => known === name)

/** Reads an address: its path and its query, without the fragment. */
export const parse = (path: string, search: string): Place => {
  const [first = "", second] = path.split("/").filter((part) => part !== "")
  const query: { [N in Name]?: string } = {}
  for (const [name, value] of new URLSearchParams(search)) if (isName(name) && value !== "") query[name] = value
  const id = second === undefined ? undefined : decode(second)
  switch (first) {
    case "runs":
      return id === undefined ? { view: "runs", query } : { view: "run", id, query }
    case "workflows":
      return id === undefined ? { view: "workflows", query } : { view: "workflow", id, query }
    case "inbox":
    case "schedules":
    case "costs":
    case "database":
      return { view: first, query }
    default:
      return { view: "runs", query }
  }
}

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const paths: { readonly [V in View]: string } = {
  runs: "/runs",
  run: "/runs",
  inbox: "/inbox",
  workflows: "/workflows",
  workflow: "/workflows",
  schedules: "/schedules",
  costs: "/costs",
  database: "/database",
}

/** Writes an address. Names come in one order, so equal places have equal addresses. */
export const format = ({ view, id, query }: Place): string => {
  const search = new URLSearchParams()
  for (const name of names) {
    const value = query[name]
    if (value !== undefined && value !== "") search.set(name, value)
  }
  const path = id === undefined ? paths[view] : `${paths[view]}/${encodeURIComponent(id)}`
  const text = search.toString()
  return text === "" ? path : `${path}?${text}`
}

/** The same place with some of its query changed. `undefined` takes a name out. */
export const change = (place: Place, changes: Query): Place => ({ ...place, query: { ...place.query, ...changes } })

/** A number in the query: a whole one from 0 on; `undefined` for anything else. */
export const number = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined

/** A list in the query. */
export const list = (text: string | undefined): ReadonlyArray<string> =>
  text === undefined ? [] : text.split(",").filter((part) => part !== "")

export const joined = (parts: Iterable<string>): string | undefined => {
  const text = [...parts].join(",")
  return text === "" ? undefined : text
}

/** The address of a run, at a node if one is given. */
export const runAddress = (runId: string, query: Query = {}): string => format({ view: "run", id: runId, query })

/** The token that `smithers ui` put in the fragment; `undefined` without one. */
export const tokenIn = (hash: string): string | undefined => new URLSearchParams(hash.replace(/^#/, "")).get("t") ?? undefined
