/** The keyboard: which key does what, where. One table, which the handler and the help both read. */

export const commands = [
  { name: "palette", keys: ["mod+k"], where: "all", says: "Open the command palette" },
  { name: "help", keys: ["?"], where: "all", says: "Show the keys" },
  { name: "search", keys: ["/"], where: "all", says: "Go to the filter" },
  { name: "goRuns", keys: ["g r"], where: "all", says: "Go to the runs" },
  { name: "goInbox", keys: ["g i"], where: "all", says: "Go to the inbox" },
  { name: "goWorkflows", keys: ["g w"], where: "all", says: "Go to the workflows" },
  { name: "goSchedules", keys: ["g s"], where: "all", says: "Go to the schedules" },
  { name: "goCosts", keys: ["g c"], where: "all", says: "Go to the costs" },
  { name: "goDatabase", keys: ["g d"], where: "all", says: "Go to the database" },
  { name: "next", keys: ["j"], where: "list", says: "Next one" },
  { name: "previous", keys: ["k"], where: "list", says: "Previous one" },
  { name: "open", keys: ["enter", "o"], where: "list", says: "Open it" },
  { name: "approve", keys: ["a"], where: "inbox", says: "Approve, or send the answer" },
  { name: "deny", keys: ["d"], where: "inbox", says: "Deny" },
  { name: "frameBack", keys: ["["], where: "run", says: "One frame back" },
  { name: "frameOn", keys: ["]"], where: "run", says: "One frame on" },
  { name: "frameLive", keys: ["\\"], where: "run", says: "Back to now" },
  { name: "nextFailure", keys: ["n"], where: "run", says: "Next failure" },
  { name: "fit", keys: ["f"], where: "run", says: "Show all of the plan" },
  { name: "asTree", keys: ["t"], where: "run", says: "Graph or tree" },
  { name: "close", keys: ["escape"], where: "all", says: "Close what is open" },
] as const

export type Command = (typeof commands)[number]["name"]
export type Where = (typeof commands)[number]["where"]

/** A key as pressed. */
export interface Press {
  readonly key: string
  readonly ctrlKey: boolean
  readonly metaKey: boolean
  readonly altKey: boolean
  /** `true` if the focus is where one writes. */
  readonly isWriting: boolean
  /** `true` if the focus is on something that Enter and Space work on by themselves. */
  readonly isOnControl: boolean
}

/** The name of a press as the table has it. */
export const nameOf = ({ key, ctrlKey, metaKey }: Press): string =>
  `${ctrlKey || metaKey ? "mod+" : ""}${key.length === 1 ? key.toLowerCase() : key.toLowerCase()}`

/**
 * The command of a press. `pending` is the first key of a pair (`g r`), kept by the caller; `undefined` as command with a `pending`
 * means that the pair goes on.
 */
export const read = (
  press: Press,
  where: ReadonlySet<Where>,
  pending: string | undefined,
): { readonly command?: Command; readonly pending?: string } => {
  const name = nameOf(press)
  if (press.altKey) return {}
  if (press.isWriting && name !== "escape" && name !== "mod+k") return {}
  if (press.isOnControl && name === "enter") return {}
  const active = commands.filter((command) => command.where === "all" || where.has(command.where))
  const pressed = pending === undefined ? name : `${pending} ${name}`
  const found = active.find(({ keys }) => keys.some((key) => key === pressed))
  if (found !== undefined) return { command: found.name }
  if (pending !== undefined) return {}
  return active.some(({ keys }) => keys.some((key) => key.startsWith(`${name} `))) ? { pending: name } : {}
}
