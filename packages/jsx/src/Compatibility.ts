/**
 * Workflows of Smithers 0.x: the only place where their spellings are known. Options, props and readers of a `ctx` become ours when they are written, so that nothing
 * behind this room knows of them. What has no meaning any more is accepted, and said once per process; what means something else is refused with its cure.
 */

import type { Codec } from "@smithers/core/Codec"
import { name as facade } from "@smithers/core/Package"
import * as Either from "effect/Either"

/** Props or options by name. */
export interface Given {
  readonly [name: string]: unknown
}

/** Says once per process that something has no effect. */
const warned = new Set<string>()
const warn = (what: string, instead: string): void => {
  if (warned.has(what)) return
  warned.add(what)
  console.warn(`${what} is an option of Smithers 0.x, and has no effect. ${instead}`)
}

/** The part of an object without some names. */
const without = (given: Given, names: Iterable<string>): Given => {
  const left = new Set(names)
  return Object.fromEntries(Object.entries(given).filter(([name]) => !left.has(name)))
}

const isObject = (value: unknown): value is Given => typeof value === "object" && value !== null && !Array.isArray(value)

/** Options of `createSmithers` without an effect, with what takes their place. */
const oldOptions: { readonly [name: string]: string } = {
  dbPath: 'Choose the file with "--db" of the command, or with Smithers.sqlite({ filename }).',
  journalMode: "The journal of the database is always a WAL.",
  readableName: "Describe a workflow in its README, and tasks with their label.",
  description: "Describe a workflow in its README, and tasks with their label.",
  alertPolicy: "Metrics and logs carry what alerts need: see docs/guides/observability.md.",
}

/** Takes the options of 0.x out of those of `createSmithers`. */
export const options = <O extends object>(given: O): O => {
  const old = Object.keys(oldOptions).filter((name) => Object.hasOwn(given, name))
  if (old.length === 0) return given
  for (const name of old) warn(`"${name}" of createSmithers`, oldOptions[name] ?? "")
  return without(given as Given, old) as O
}

/** What becomes of an old prop: it is given to ours, it has no effect, or it is kept and refused with a cure. */
type Rule =
  | { readonly to: string; readonly as?: (value: unknown) => unknown }
  | { readonly effectless: string }
  | { readonly drop: true }

const rename = (to: string, as?: (value: unknown) => unknown): Rule => (as === undefined ? { to } : { to, as })

/** Ids by a name, or a list of them, as a list. */
const idsOf = (value: unknown): unknown => (isObject(value) ? Object.values(value) : value)

/** A time with its zone as a text, which ours takes as a Date. Other texts are refused as they are. */
const timeOf = (value: unknown): unknown =>
  typeof value === "string" && /T.*(Z|[+-]\d\d:?\d\d)$/.test(value) ? new Date(value) : value

const rules: { readonly [kind: string]: { readonly [prop: string]: Rule } } = {
  Workflow: { cache: { effectless: 'Give "cache" to the tasks whose outputs may be reused.' } },
  Task: {
    outputSchema: rename("output"),
    async: { effectless: "Tasks beside each other in <Parallel> do not wait for one another." },
    hijack: { effectless: "Talk to the agent in its own program, and answer with an approval or a human task." },
    onHijackExit: { effectless: "Talk to the agent in its own program, and answer with an approval or a human task." },
  },
  Timer: { until: rename("until", timeOf), needs: rename("dependsOn", idsOf) },
  Approval: {
    outputSchema: rename("output"),
    allowedUsers: rename("approvers"),
    ...Object.fromEntries(
      ["retries", "retryPolicy", "heartbeatTimeout", "heartbeatTimeoutMs", "cache", "children"].map((name) => [
        name,
        { effectless: "A decision is asked for once, by its request." },
      ]),
    ),
    allowedScopes: { effectless: 'Name those who may decide in "approvers".' },
    async: { effectless: "What stands beside it in <Parallel> does not wait for it." },
    needs: rename("dependsOn", idsOf),
  },
  WaitForEvent: {
    event: rename("name"),
    correlationId: rename("correlation"),
    outputSchema: rename("output"),
    needs: rename("dependsOn", idsOf),
    async: { drop: true },
  },
  Signal: {
    schema: rename("output"),
    correlationId: rename("correlation"),
    needs: rename("dependsOn", idsOf),
    async: { drop: true },
  },
  HumanTask: {
    outputSchema: rename("output"),
    needs: rename("dependsOn", idsOf),
    maxAttempts: { effectless: "An answer that the schema refuses is asked for again, without a limit." },
    async: { drop: true },
  },
  Subflow: { needs: rename("dependsOn", idsOf) },
  Worktree: { baseBranch: rename("base") },
  Loop: { continueAsNewEvery: { effectless: "The history of a run is stored by frames, and read only where it is asked for." } },
}

/** Cures of what is refused, by `<kind> <prop>`. */
const cures: { readonly [kindAndProp: string]: string } = {
  "Approval autoApprove": `Decide in code with <ApprovalGate when={…}>, or by time with timeout="1h" onTimeout="approve"`,
  "Approval continueOnFail": 'Say onDeny="continue"',
  "Subflow mode": 'Each child is a run of its own. For mode="inline", put the tasks of the child into a component, and draw that',
  "Sandbox workflow": "Put <Subflow workflow={…} input={…} /> into it, or the tasks themselves",
  "Sandbox input": "Give it to the <Subflow> inside",
  "Sandbox runtime": 'Say provider="local" or provider="worktree", or give a SandboxProvider of yours, as for Docker',
  "Sandbox image": "Give it to a SandboxProvider of yours, as for Docker",
  "Sandbox volumes":
    'Name files of the root that git ignores in "include". Others can be mounted by a SandboxProvider of yours, as for Docker',
  "Sandbox ports": "Leave it out: each command has a network of its own, and may listen on any port",
  "Sandbox env": "Give it to a SandboxProvider of yours, as for Docker",
  "Sandbox command": "Give it to a SandboxProvider of yours, as for Docker",
  "Sandbox workspace": "Leave it out: the root of the runtime is copied",
  "Sandbox timeoutMs":
    'Say limits={{ timeout: "1h" }} for each command, or put <Scope id="…" timeout="1h"> around it for the whole',
  "Sandbox heartbeatTimeoutMs": "Give it to the tasks inside",
  "Sandbox retries": "Give it to the tasks inside",
  "Sandbox retryPolicy": "Give it to the tasks inside",
  "Sandbox cache": "Give it to the tasks inside",
  "Sandbox label": "Give it to the tasks inside",
  "Sandbox meta": "Give it to the tasks inside",
  "Sandbox continueOnFail": "Put it into <TryCatchFinally>, or give it to the tasks inside",
  "Sandbox dependsOn": "Put it behind what it needs, in <Sequence>, or give it to the tasks inside",
  "Sandbox needs": "Give it to the tasks inside",
  "Sandbox memoryLimit": "Say limits={{ memoryBytes: … }}",
  "Sandbox cpuLimit": 'Say limits={{ cpuTime: "1m" }}, or limits={{ cpus: 2 }} with a provider that holds it',
  "Sandbox reviewDiffs": 'Say review="approve", the default, or review="auto"',
  "Sandbox autoAcceptDiffs": 'Say review="auto"',
  "Timer every": "Put the timer into a <Loop>, or schedule the workflow",
  "Saga steps": 'Put the tasks into <Saga>, each with "compensate", a function that undoes it',
  "Saga onFailure": 'Say "onCompensated": "fail" or "continue"',
  "Signal children": "Draw what depends on it beside it, from ctx.outputMaybe(…)",
  "TryCatchFinally catchErrors": 'Say which errors are caught with catchWhen={(error) => error.name === "…"}',
  "Task fallbackAgent": "Give agent={[first, second]}",
}

/** Returns the cure for a prop of 0.x that is refused; `undefined` for a prop that never was one. */
export const cureOf = (kind: string, prop: string): string | undefined => cures[`${kind} ${prop}`]

const patterns = (...names: ReadonlyArray<string>): { readonly [name: string]: string } =>
  Object.fromEntries(names.map((name) => [name, `Import it from "${facade}/patterns", and read its props there`]))

/** One cure of several names, which are separated by blanks. */
const all = (names: string, cure: string): { readonly [name: string]: string } =>
  Object.fromEntries(names.split(" ").map((name) => [name, cure]))

const observabilityCure = "Read docs/guides/observability.md: logs, metrics and traces need no import"
const openApiCure = `Write the tools with defineTool of "${facade}/tools", or take those of a server with mcpServer of "${facade}/agents"`

/** Cures of what a program imports of 0.x, and is not here: names of the facade, and subpaths. */
const importCures: { readonly [name: string]: string } = {
  ...patterns(
    ...["ClassifyAndRoute", "Debate", "EscalationChain", "GatherAndSynthesize", "Kanban", "Optimizer", "Panel", "Poller"],
    ...["ReviewLoop", "ScanFixVerify", "Supervisor"],
  ),
  ...Object.fromEntries(
    [
      "createScorer",
      "llmJudge",
      "relevancyScorer",
      "toxicityScorer",
      "faithfulnessScorer",
      "schemaAdherenceScorer",
      "latencyScorer",
    ].map((name) => [name, `Import it from "${facade}/scorers"`]),
  ),
  ...Object.fromEntries(
    ["AnthropicAgent", "OpenAIAgent"].map((name) => [name, "Make it with createAgent({ model }), of a model of the AI SDK"]),
  ),
  ...Object.fromEntries(["AmpAgent", "ForgeAgent"].map((name) => [name, "Make it with new CliAgent({ command })"])),
  ...Object.fromEntries(
    ["aggregateScores", "runScorersAsync", "runScorersBatch", "smithersScorers"].map((name) => [
      name,
      'Read scores with "smithers scores", or from the table smithers_scores',
    ]),
  ),
  ...all("Gateway startServer", 'Use "smithers serve", and "smithers supervise" for runs that nobody works on'),
  SmithersDb: `Read runs with Smithers.status and the queries of "${facade}/sql"`,
  renderFrame: "Use renderPlan(workflow, { input })",
  zodSchemaToJsonExample: "An agent is given the schema of its output",
  signalRun: "Use Smithers.signal, or the command",
  ...all(
    "approvalDecisionSchema approvalRankingSchema approvalSelectionSchema",
    "Declare the row of a decision yourself: z.object({ approved: z.boolean(), note: z.string().nullable(), decidedBy: z.string().nullable(), decidedAt: z.string().nullable() }), and with options selected: z.string().nullable()",
  ),
  continueAsNew: "Draw <ContinueAsNew input={…} /> where the run is to go on as a new one",
  tools: 'Import the tools that you use by name, from "smithers-orchestrator/tools"',
  usePatched: "Leave it out: a changed workflow is compared with the plan of the run when it is resumed",
  ...all("timeTravel revertToAttempt revertToJjPointer", 'Use "smithers revert", or "smithers fork"'),
  ...all(
    "runJj isJjRepo getJjPointer workspaceAdd workspaceClose workspaceList",
    'Work in a <Worktree>. The files of tasks are saved by git, and "smithers revert" brings them back',
  ),
  ...all("renderMdx markdownComponents", "Import the .mdx file, and draw it as a component of the prompt"),
  ...all(
    "SmithersErrorInstance isSmithersError isKnownSmithersErrorCode knownSmithersErrorCodes getSmithersErrorDefinition getSmithersErrorDocsUrl ERROR_REFERENCE_URL errorToJson",
    'Match errors by their "_tag", which docs/reference/errors.md lists',
  ),
  ...all(
    "camelToSnake ensureSmithersTables syncZodTableSchema unwrapZodType zodSchemaColumns zodToCreateTableSQL zodToTable",
    `Leave it out: tables are made of the schemas. Read them with "${facade}/sql"`,
  ),
  ...all(
    "createExternalSmithers createSmithersRuntimeLayer",
    "Use createSmithers, and Smithers.sqlite for the runtime of a program of yours",
  ),
  createServeApp: 'Use "smithers serve"',
  SmithersRenderer: "Use renderPlan(workflow, { input })",
  ...all(
    "MemoryService Summarizer TokenLimiter TtlGarbageCollector createMemoryLayer createMemoryStore namespaceToString parseNamespace",
    "Give the tasks memory={{ recall, remember }}",
  ),
  ...all(
    "createOpenApiTool createOpenApiToolSync createOpenApiTools createOpenApiToolsSync listOperations getDefinedToolMetadata hashCapabilityRegistry",
    openApiCure,
  ),
  ...all(
    "SmithersObservability createSmithersObservabilityLayer createSmithersOtelLayer prometheusContentType renderPrometheusMetrics resolveSmithersObservabilityOptions smithersMetrics trackSmithersEvent",
    observabilityCure,
  ),
  ...all(
    "activeNodes activeRuns approvalsDenied approvalsGranted approvalsRequested attemptDuration cacheHits cacheMisses dbQueryDuration dbRetries dbTransactionDuration dbTransactionRetries dbTransactionRollbacks externalWaitAsyncPending hotReloadDuration hotReloadFailures hotReloads httpRequestDuration httpRequests memoryFactReads memoryFactWrites memoryMessageSaves memoryRecallDuration memoryRecallQueries nodeDuration nodesFailed nodesFinished nodesStarted openApiToolCallErrorsTotal openApiToolCallsTotal openApiToolDuration runsTotal sandboxActive sandboxBundleSizeBytes sandboxCompletedTotal sandboxCreatedTotal sandboxDurationMs sandboxPatchCount sandboxTransportDurationMs schedulerQueueDepth timerDelayDuration timersCancelled timersCreated timersFired timersPending toolCallsTotal toolDuration vcsDuration",
    "Read docs/guides/metrics.md: metrics need no import",
  ),
  ...all("/serve /gateway", 'Use "smithers serve", and "smithers supervise" for runs that nobody works on'),
  ...all("/pi-plugin /pi-extension", `Take the agent: new PiAgent() of "${facade}"`),
  "/memory": "Give the tasks memory={{ recall, remember }}",
  "/observability": observabilityCure,
  "/openapi": openApiCure,
}

/** Packages of the scope of 0.x that are subpaths here. */
const subpaths: ReadonlySet<string> = new Set(["/agents", "/scorers", "/testing"])

/** Returns the cure for a name or a specifier that programs of 0.x import, and that is not here; `undefined` for another one. */
export const cureOfImport = (nameOrSpecifier: string): string | undefined => {
  const [, scope, path] = /^(@)?smithers-orchestrator(\/[^/]+)/.exec(nameOrSpecifier) ?? []
  const name = path ?? nameOrSpecifier
  if (Object.hasOwn(importCures, name)) return importCures[name]
  return scope === undefined ? undefined : `Import it from "${facade}${subpaths.has(name) ? name : ""}"`
}

/** Components that are functions or classes, by their kinds. */
const kinds = new WeakMap<object, string>()

/** Registers a component of ours that is no name of an element. */
export const register = <C extends object>(kind: string, component: C): C => {
  kinds.set(component, kind)
  return component
}

/** An element as it is made. */
export interface Made {
  readonly type: unknown
  readonly props: Given
}

/** Translates an element. Gives the very props where they have no old spelling. */
export const element = (type: unknown, props: Given): Made => {
  const kind = typeof type === "string" ? type : typeof type === "function" ? kinds.get(type) : undefined
  if (kind === undefined) return { type, props }
  if (kind === "MergeQueue" && !("items" in props)) return { type: "Parallel", props: queue(props) }
  const own = rules[kind]
  const idle = Object.keys(props).filter((name) => props[name] === undefined && cureOf(kind, name) !== undefined)
  if (own === undefined && idle.length === 0) return { type, props }
  // A prop that is refused is left out where it has no value.
  let made: { [name: string]: unknown } | undefined = idle.length === 0 ? undefined : { ...without(props, idle) }
  for (const name in own) {
    if (!(name in props)) continue
    const rule = own[name]
    if (rule === undefined) continue
    made ??= { ...props }
    delete made[name]
    if ("effectless" in rule) warn(`"${name}" of ${kind}`, rule.effectless)
    if ("to" in rule && props[name] !== undefined && made[rule.to] === undefined)
      made[rule.to] = rule.as === undefined ? props[name] : rule.as(props[name])
  }
  if (kind === "Approval" && props.mode === "rank")
    throw new TypeError(`Approval "${props.id}": mode="rank" is of Smithers 0.x. Ask for the list with a <HumanTask>`)
  if (kind === "Signal" && "schema" in props && made !== undefined) made.name ??= props.id
  if (kind === "Subflow" && props.mode === "childRun") {
    made ??= { ...props }
    delete made.mode
  }
  return { type, props: kind === "Task" ? task(made ?? props) : (made ?? props) }
}

/** A queue of 0.x groups its children, one at a time; ours goes through a list. */
const queue = (props: Given): Given => ({ maxConcurrency: 1, ...without(props, ["id"]) })

/** Stands for `Saga.Step` of 0.x, which is refused. */
export const sagaStep = (): never => {
  throw new TypeError('Saga.Step is of Smithers 0.x. Put its task into the <Saga>, with "compensate", a function that undoes it')
}

/** The parts of a task whose values differ. */
const task = (props: Given): Given => {
  const { agent, cache, fallbackAgent, memory, retryPolicy, scorers } = props
  let made = props
  if (fallbackAgent !== undefined && agent !== undefined)
    made = { ...without(made, ["fallbackAgent"]), agent: [agent, fallbackAgent].flat() }
  if (isObject(retryPolicy) && isOldPolicy(retryPolicy)) made = { ...made, retryPolicy: policyOf(retryPolicy) }
  if (isObject(cache) && isOldCache(cache)) made = { ...made, cache: cacheOf(cache) }
  if (isObject(memory) && isOldMemory(memory)) made = { ...made, memory: memoryOf(memory, agent !== undefined) }
  if (isObject(scorers) && Object.values(scorers).some(isOldScorer)) made = { ...made, scorers: scorersOf(scorers) }
  return made
}

const isOldPolicy = (policy: Given): boolean => policy.backoff === "fixed" || "multiplier" in policy

const policyOf = ({ multiplier, ...policy }: Given): Given => ({
  ...policy,
  ...(policy.backoff === "fixed" ? { backoff: "constant" } : {}),
  ...(multiplier === undefined ? {} : { factor: multiplier }),
})

const isOldCache = (cache: Given): boolean => "by" in cache || "ttlMs" in cache || cache.scope === "global"

/** The cache of 0.x: `{ by, key, version, ttlMs, scope }`, where the key is a text. A text as a key alone stays refused, as it is constant. */
const cacheOf = ({ by, key, ttlMs, scope, ...cache }: Given): Given => ({
  ...cache,
  ...(by === undefined && key === undefined ? {} : { key: typeof key === "string" ? keyedBy(key, by) : (by ?? key) }),
  ...(ttlMs === undefined ? {} : { ttl: typeof ttlMs === "number" ? `${ttlMs} millis` : ttlMs }),
  ...(scope === undefined ? {} : { scope: scope === "global" ? "store" : scope }),
})

const keyedBy = (key: string, by: unknown) => (ctx: unknown) => (typeof by === "function" ? [key, by(ctx)] : key)

/** The text of a namespace, which 0.x also writes as `{ kind, id }`. */
const namespaceOf = (namespace: unknown): unknown => {
  if (!isObject(namespace)) return namespace
  return [namespace.kind, namespace.id].filter((part) => part !== undefined).join(":")
}

const isOldMemory = ({ recall, remember, ...others }: Given): boolean =>
  "threadId" in others || [recall, remember].some((one) => isObject(one) && (isObject(one.namespace) || "topK" in one))

const memoryOf = ({ recall, remember }: Given, hasAgent: boolean): Given => {
  const placed = (one: Given): Given => ({ ...one, ...("namespace" in one ? { namespace: namespaceOf(one.namespace) } : {}) })
  const recalled = isObject(recall)
    ? { ...placed(without(recall, ["topK"])), ...("topK" in recall ? { limit: recall.topK } : {}) }
    : recall
  return {
    ...(recall === undefined || !hasAgent ? {} : { recall: recalled }),
    ...(remember === undefined ? {} : { remember: isObject(remember) ? placed(remember) : remember }),
  }
}

const isOldScorer = (one: unknown): boolean => isObject(one) && isObject(one.scorer)

/** The share of outputs that 0.x scores: `{ type: "all" | "none" | "ratio", rate }`. */
const samplingOf = (sampling: unknown): number => {
  if (!isObject(sampling)) return typeof sampling === "number" ? sampling : 1
  return sampling.type === "none" ? 0 : typeof sampling.rate === "number" ? sampling.rate : 1
}

const scorersOf = (scorers: Given): Given =>
  Object.fromEntries(
    Object.entries(scorers).map(([name, one]) => {
      if (!isObject(one) || !isObject(one.scorer)) return [name, one]
      const { score, judge, instructions } = one.scorer
      const judged = judge === undefined ? { score } : { score: judge, ...(instructions === undefined ? {} : { instructions }) }
      return [name, { ...judged, sampling: samplingOf(one.sampling) }]
    }),
  )

/** Makes a codec of the output of a selection take the field `notes` of 0.x, where it lacks `note`. */
export const selecting = (codec: Codec<unknown, unknown>): Codec<unknown, unknown> => ({
  ...codec,
  encode: (value) => {
    const encoded = codec.encode(value)
    if (!Either.isEither(encoded) || Either.isRight(encoded) || !isObject(value)) return encoded
    const noted = codec.encode({ ...value, notes: value.note ?? null })
    return Either.isEither(noted) && Either.isLeft(noted) ? encoded : noted
  },
})

/** A row of a table as 0.x gives it: the fields of its output, its node and its iteration. An output that is no object is its `value`. */
export const row = (value: unknown, nodeId: string, iteration: number): Given => ({
  ...(isObject(value) ? value : { value }),
  nodeId,
  iteration,
})

/** The iterations of loops, by id. */
export interface Iterations {
  readonly [loop: string]: number
}

/** What a `ctx` of 0.x reads by. */
export interface Reader {
  /** Returns all rows of a table, in the order in which their nodes first wrote it. */
  readonly rows: (target: unknown) => ReadonlyArray<Given>
  readonly iterations: () => Iterations
  /** Returns the table of a schema or a key. Throws if there is none. */
  readonly tableOf: (target: unknown) => string
  readonly isTable: (name: string) => boolean
}

/** The key under which a `ctx` answers for `outputs`. */
export const rowsKey: unique symbol = Symbol("rows")

/** The key under which a `ctx` answers for `iterations`. */
export const iterationsKey: unique symbol = Symbol("iterations")

interface ItemSchema {
  readonly safeParse?: (item: unknown) => { readonly success: boolean; readonly data?: unknown }
}

/** The members of a `ctx` of 0.x, which are not in its type. */
export interface Members {
  /** All rows of a table: `ctx.outputs.<table>`, or `ctx.outputs(table)` by name or schema. */
  readonly outputs: ((target: unknown) => ReadonlyArray<Given>) & { readonly [table: string]: ReadonlyArray<Given> }
  readonly iterations: Iterations
  /** Returns the items of a list that a schema accepts. A text is read as JSON. */
  readonly latestArray: (value: unknown, schema?: ItemSchema) => ReadonlyArray<unknown>
  readonly resolveTableName: (target: unknown) => string
  readonly auth: null
  readonly [rowsKey]: Reader["rows"]
  readonly [iterationsKey]: Reader["iterations"]
}

const outputsOf = ({ rows, isTable }: Reader): Members["outputs"] =>
  new Proxy((target: unknown) => rows(target), {
    get: (of, name) => (typeof name === "string" && isTable(name) ? rows(name) : Reflect.get(of, name)),
  }) as Members["outputs"]

const latestArray: Members["latestArray"] = (value, schema) => {
  const list = typeof value === "string" ? listIn(value) : value
  const items: ReadonlyArray<unknown> = Array.isArray(list) ? list : []
  if (schema?.safeParse === undefined) return items
  return items.flatMap((item) => {
    const parsed = schema.safeParse?.(item)
    return parsed?.success === true ? [parsed.data] : []
  })
}

const listIn = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return []
  }
}

/** Adds the members of a `ctx` of 0.x. */
export const extended = <C extends object>(ctx: C, reader: Reader): C & Members => {
  const { rows, iterations, tableOf } = reader
  const members = { latestArray, resolveTableName: tableOf, auth: null, [rowsKey]: rows, [iterationsKey]: iterations }
  return Object.defineProperties(Object.assign(ctx, members), {
    outputs: { get: () => outputsOf(reader), enumerable: false },
    iterations: { get: iterations, enumerable: false },
  }) as C & Members
}
