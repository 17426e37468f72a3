/**
 * Resources and prompts: runs, the pages of the documentation, and texts that open a conversation.
 */

/** A page of the documentation. */
export interface Page {
  /** Path without extension, such as `guides/approvals`. */
  readonly name: string
  readonly title: string
  readonly text: string
}

/** Templates of resources of runs. Each is read by a tool. */
export const templates = [
  { name: "run", uriTemplate: "smithers://runs/{id}", title: "A run", tool: "get_run" },
  { name: "plan", uriTemplate: "smithers://runs/{id}/plan", title: "The plan of a run", tool: "get_plan" },
  { name: "events", uriTemplate: "smithers://runs/{id}/events", title: "The first events of a run", tool: "events" },
] as const

const docs = "smithers://docs/"

export const addressOf = ({ name }: Page): string => docs + name

/** A resource: a page, or what a tool reads of a run. */
export type Found = { readonly page: string } | { readonly tool: string; readonly runId: string } | undefined

/** Parses the address of a resource. */
export const parse = (uri: string): Found => {
  if (uri.startsWith(docs)) return { page: uri.slice(docs.length) }
  const [, id = "", part] = /^smithers:\/\/runs\/([^/]+)(?:\/(plan|events))?$/.exec(uri) ?? []
  if (id === "") return undefined
  try {
    const tool = templates.find(({ name }) => name === (part ?? "run"))?.tool
    return tool === undefined ? undefined : { tool, runId: decodeURIComponent(id) }
  } catch {
    return undefined
  }
}

interface Prompt {
  readonly name: string
  readonly description: string
  readonly argument: { readonly name: string; readonly description: string }
  readonly text: (value: string) => string
}

export const prompts: ReadonlyArray<Prompt> = [
  {
    name: "write_workflow",
    description: "Writes a workflow, checks it and runs it.",
    argument: { name: "goal", description: "Purpose of the workflow" },
    text: (goal) =>
      `Write a Smithers workflow for this goal: ${goal}\n\nRead smithers://docs/quickstart and the guides that it needs. Write it with write_workflow, and correct it until check_workflow finds no problem. Start it with start_run, follow it with watch_run, and explain with why if it stops. Never decide requests without the person.`,
  },
  {
    name: "repair_run",
    description: "Finds out why a run failed, repairs its workflow and continues it.",
    argument: { name: "runId", description: "Id of the run" },
    text: (runId) =>
      `Repair the Smithers run ${runId}. Call why, then get_node for the node that failed, and get_transcript if an agent worked on it. Read the workflow with read_workflow, correct it with write_workflow, and show with plan_diff what the correction keeps, adds and removes. Then retry the node, resume the run and follow it with watch_run. Finished steps must not run again.`,
  },
  {
    name: "explain_run",
    description: "Explains what a run has done and what it waits for.",
    argument: { name: "runId", description: "Id of the run" },
    text: (runId) => `Explain the Smithers run ${runId} in a few sentences: call get_run, why and timeline. Change nothing.`,
  },
]
