/**
 * The operations as tools of models.
 */

import * as Later from "@smithers/core/Later"
import { RunReader } from "@smithers/core/RunReader"
import * as Secrets from "@smithers/core/Secrets"
import type { Ports } from "@smithers/core/Storage"
import type { Workspaces } from "@smithers/core/Workspaces"
import * as Effect from "effect/Effect"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { Caller, includes, type Scope } from "../operations/Caller.ts"
import * as Comparing from "../operations/comparing.ts"
import * as Control from "../operations/control.ts"
import * as Costs from "../operations/costs.ts"
import { Forbidden } from "../operations/Errors.ts"
import * as Nodes from "../operations/nodes.ts"
import type { Operation, Tagged } from "../operations/Operation.ts"
import type { Processes } from "../operations/Processes.ts"
import * as Runs from "../operations/runs.ts"
import * as Schedules from "../operations/schedules.ts"
import * as Travel from "../operations/travel.ts"
import type { WorkflowFiles } from "../operations/WorkflowFiles.ts"
import * as Waits from "../operations/waits.ts"
import { watchRun } from "../operations/watch.ts"
import * as Workflows from "../operations/workflows.ts"
import { commandLine } from "../views/CommandLine.ts"
import { questionLines } from "../views/Question.ts"
import { jsonSchemaOf, type ObjectSchema } from "./JsonSchemaOf.ts"
import { Person, PersonDeclined, PersonNeeded } from "./Person.ts"

/** Arguments of a tool do not match its schema. */
export class InvalidArguments extends Later.TaggedError<InvalidArguments>()("InvalidArguments", {
  tool: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    return `The arguments of ${this.tool} do not match its schema: ${this.problem}`
  }
}

/** Services of tools. */
export type Services = Ports | Processes | WorkflowFiles | Workspaces | Caller | Person

/** Hints for clients about what a tool does. */
export interface Annotations {
  readonly readOnlyHint: boolean
  readonly destructiveHint: boolean
  readonly idempotentHint: boolean
  readonly openWorldHint: boolean
}

export interface Tool {
  readonly name: string
  readonly description: string
  readonly operation: { readonly scope: Scope }
  readonly inputSchema: ObjectSchema
  readonly outputSchema: ObjectSchema
  readonly annotations: Annotations
  /** Performs the operation on arguments that came from a client. Completes with JSON without secrets. */
  readonly call: (args: unknown) => Effect.Effect<{ readonly [name: string]: unknown }, Tagged, Services>
}

interface ToolOptions {
  /** Further sentences for the model. */
  readonly more?: string
  readonly destructive?: boolean
  readonly idempotent?: boolean
}

/** Makes a tool of an operation. */
const tool = <
  I extends Schema.Schema.AnyNoContext,
  O extends Schema.Schema.AnyNoContext,
  A extends Schema.Schema.Type<O>,
  E extends Tagged,
  R extends Services,
>(
  name: string,
  operation: Operation<I, O, A, E, R>,
  { more, destructive = false, idempotent = false }: ToolOptions = {},
  before: (input: Schema.Schema.Type<I>) => Effect.Effect<void, Tagged, Services> = () => Effect.void,
): Tool => {
  const isRead = operation.scope === "read"
  const decode = Schema.decodeUnknown(operation.input, { errors: "all", onExcessProperty: "error" })
  const encode = Schema.encode(operation.output)
  return {
    name,
    description: more === undefined ? operation.title : `${operation.title} ${more}`,
    operation,
    inputSchema: jsonSchemaOf(operation.input),
    outputSchema: jsonSchemaOf(operation.output),
    annotations: { readOnlyHint: isRead, destructiveHint: destructive, idempotentHint: isRead || idempotent, openWorldHint: false },
    call: (args) =>
      Effect.gen(function* () {
        const { scope: granted } = yield* Caller
        const { scope } = operation
        if (!includes(granted, scope)) return yield* new Forbidden({ scope, operation: name, granted })
        const input = yield* Effect.mapError(
          decode(args ?? {}),
          (error) => new InvalidArguments({ tool: name, problem: ParseResult.TreeFormatter.formatErrorSync(error) }),
        )
        yield* before(input)
        const output: unknown = yield* Effect.orDie(encode(yield* operation.run(input)))
        return Secrets.value(JSON.parse(JSON.stringify(output))) as { readonly [name: string]: unknown }
      }),
  }
}

interface Decision {
  readonly runId: string
  readonly node: string
  readonly requestId: string
  readonly digest: string
  readonly [name: string]: unknown
}

/** Lets a person confirm a decision about the request as it stands in the store. */
const confirmed = (verb: "approve" | "deny" | "answer") => (decision: Decision) =>
  Effect.gen(function* () {
    const { confirm, isTrusted } = yield* Person
    const { runId, node, requestId, digest } = decision
    yield* Waits.refuseOwn(runId)
    if (confirm === undefined) {
      if (isTrusted) return
      return yield* new PersonNeeded({ runId, nodeId: node, command: commandLine(undefined, verb, [runId, node]) })
    }
    const reader = yield* RunReader
    const waits = yield* reader.waits({ runId, all: true, limit: Number.MAX_SAFE_INTEGER })
    const wait = waits.find((one) => one.requestId === requestId && one.digest === digest)
    // The operation says that this request is not open. A person is asked about nothing else.
    if (wait === undefined) return
    const { note, selected, value } = decision
    const parts = [
      selected === undefined ? [] : [`option: ${JSON.stringify(selected)}`],
      value === undefined ? [] : [`answer: ${JSON.stringify(value)}`],
      note === undefined ? [] : [`note: ${JSON.stringify(note)}`],
    ].flat()
    const lines = [`Run ${runId}, "${wait.nodeId}":`, ...questionLines(wait), `The agent proposes to ${verb}.`, ...parts]
    const isConfirmed = yield* confirm(Secrets.text(lines.join("\n")))
    if (!isConfirmed) return yield* new PersonDeclined({ runId, nodeId: node })
  })

const person =
  "A person must confirm it. Give requestId and digest as list_inbox shows them. Continue the run with resume afterwards."

/** All tools. */
export const tools: ReadonlyArray<Tool> = [
  tool("list_runs", Runs.listRuns),
  tool("get_run", Runs.readRun),
  tool("why", Runs.explainRun, { more: "Begin here when a run does not go on or has failed." }),
  tool("get_node", Nodes.readNode),
  tool("get_transcript", Nodes.readTranscript),
  tool("get_outputs", Nodes.readOutputs),
  tool("get_plan", Travel.readPlan),
  tool("timeline", Travel.readTimeline),
  tool("diff", Comparing.compareRuns),
  tool("diff_attempts", Comparing.compareAttempts),
  tool("events", Travel.readEvents),
  tool("get_costs", Costs.readCosts),
  tool("watch_run", watchRun, {
    more: "Call it again if it timed out. A run that goes on as another names it in continuedAs: watch that one then.",
  }),
  tool("list_inbox", Waits.readInbox),
  tool("list_workflows", Workflows.listWorkflows),
  tool("read_workflow", Workflows.readWorkflow, { idempotent: true }),
  tool("write_workflow", Workflows.writeWorkflow, { destructive: true, more: "Check it with check_workflow afterwards." }),
  tool("check_workflow", Workflows.checkWorkflow, { idempotent: true }),
  tool("plan_diff", Workflows.diffPlan, { idempotent: true }),
  tool("start_run", Workflows.startRun, { more: "Follow it with watch_run." }),
  tool("signal", Waits.signal, { idempotent: true }),
  tool("publish", Waits.publish, { idempotent: true }),
  tool("list_published", Waits.listPublished),
  tool("retry", Control.retry, { more: "Continue the run with resume afterwards." }),
  tool("resume", Control.resume, { idempotent: true }),
  tool("cancel", Control.cancel, { destructive: true, idempotent: true }),
  tool("pause", Control.pause, { idempotent: true }),
  tool("unpause", Control.unpause, { idempotent: true }),
  tool("fork", Workflows.forkRun),
  tool("list_schedules", Schedules.listSchedules),
  tool("get_schedule", Schedules.readSchedule),
  tool("add_schedule", Schedules.addSchedule),
  tool("pause_schedule", Schedules.pauseSchedule, { idempotent: true }),
  tool("unpause_schedule", Schedules.unpauseSchedule, { idempotent: true }),
  tool("run_schedule_now", Schedules.runScheduleNow),
  tool("remove_schedule", Schedules.removeSchedule, { destructive: true }),
  tool("approve", Waits.approve, { more: person, destructive: true }, confirmed("approve")),
  tool("deny", Waits.deny, { more: person, destructive: true }, confirmed("deny")),
  tool("answer", Waits.answer, { more: person, destructive: true }, confirmed("answer")),
]
