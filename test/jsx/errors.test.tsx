/** What is wrong with a workflow is said before it runs: which component and which id, where it stands, and what would be right. */
import { Effect, Schema } from "effect"
import type * as React from "react"
import {
  Approval,
  Branch,
  createSmithers,
  HumanTask,
  Loop,
  Parallel,
  type RenderOptions,
  renderPlan,
  runWorkflow,
  Saga,
  Sequence,
  Signal,
  Smithers,
  Subflow,
  Task,
  Timer,
  TryCatchFinally,
  useCtx,
  Workflow,
} from "smithers-orchestrator"
import { describe, expect, it } from "vitest"
import { z } from "zod"

const schemas = { note: z.string(), data: z.object({ n: z.number() }) }
const { smithers, outputs } = createSmithers(schemas)
const agent = { name: "a", generate: async () => ({ text: "" }) }

/** Components as code that is not type-checked would use them. */
type Unchecked = React.FC<{ [name: string]: unknown }>
const [AnyTask, AnyLoop, AnyParallel, AnyBranch, AnySequence, AnyWorkflow] = [
  Task,
  Loop,
  Parallel,
  Branch,
  Sequence,
  Workflow,
] as ReadonlyArray<unknown> as [Unchecked, Unchecked, Unchecked, Unchecked, Unchecked, Unchecked]
const [AnySaga, AnyTry, AnySubflow] = [Saga, TryCatchFinally, Subflow] as ReadonlyArray<unknown> as [
  Unchecked,
  Unchecked,
  Unchecked,
]

const [AnyApproval, AnyHumanTask, AnySignal, AnyTimer] = [Approval, HumanTask, Signal, Timer] as ReadonlyArray<unknown> as [
  Unchecked,
  Unchecked,
  Unchecked,
  Unchecked,
]

const Note = ({ id }: { id: string }) => (
  <Task id={id} output={outputs.note}>
    text
  </Task>
)

interface Refusal {
  readonly _tag: string
  readonly message: string
  readonly problem: string
  readonly where: string
}

const thrownBy = (act: () => unknown): Refusal => {
  try {
    act()
  } catch (thrown) {
    return thrown as Refusal
  }
  throw new Error("it was accepted")
}

const refusal = (draw: () => React.ReactNode, options?: RenderOptions) => thrownBy(() => renderPlan(smithers(draw), options))

/** Of a workflow with outputs of more kinds. */
const kinds = createSmithers({
  ...schemas,
  word: z.string().max(5),
  choice: z.union([z.number(), z.array(z.number())]),
  either: z.union([z.object({ n: z.number() }), z.string()]),
  dated: Schema.Struct({ at: Schema.Date }),
  late: z.string().refine(async () => true),
})

/** What is said of nodes in a workflow. */
const refused = (draw: () => React.ReactNode) => {
  const { _tag, problem, where } = refusal(() => <Workflow name="w">{draw()}</Workflow>)
  return { _tag, problem, where }
}

const invalid = (problem: string, where = "smithers > Workflow") => ({ _tag: "InvalidWorkflow", problem, where })

describe("the shape of a workflow", () => {
  it("ids are unique, wherever their tasks stand", () => {
    const Inner = () => (
      <Sequence>
        <Note id="a" />
      </Sequence>
    )
    expect(
      refused(() => (
        <>
          <Note id="a" />
          <Inner />
        </>
      )),
    ).toEqual(
      invalid(
        'Task "a": the id is taken by another task (at smithers > Workflow > Note): ids are unique in a workflow',
        "smithers > Workflow > Inner > Sequence > Note",
      ),
    )
  })

  it("loops have ids of their own", () => {
    const twice = () =>
      [1, 2].map((n) => (
        <Loop key={n} id="l" until={true}>
          <Note id={`t${n}`} />
        </Loop>
      ))
    expect(refused(twice)).toEqual(invalid('Loop "l": the id "l" is taken by another loop', "smithers > Workflow > Loop"))
    expect(
      refused(() => (
        <>
          <Loop id="a" until={true}>
            <Note id="b" />
          </Loop>
          <Note id="a" />
        </>
      )),
    ).toEqual(invalid('Task "a": the id is taken by a loop', "smithers > Workflow > Note"))
  })

  it("there is one workflow, and everything stands in it", () => {
    const shape = (draw: () => React.ReactNode) => {
      const { _tag, problem, where } = refusal(draw)
      return { _tag, problem, where }
    }
    expect(shape(() => <Note id="a" />)).toEqual(invalid('Task "a": it is outside of <Workflow>', "smithers > Note"))
    expect(
      shape(() => (
        <>
          <Workflow name="w" />
          <Note id="beside" />
        </>
      )),
    ).toEqual(invalid('Task "beside": it is outside of <Workflow>', "smithers > Note"))
    expect(
      shape(() => (
        <>
          <Workflow name="v" />
          <Workflow name="w" />
        </>
      )),
    ).toEqual(invalid("a Workflow: there is a second <Workflow>; a workflow has exactly one", "smithers"))
    expect(
      refused(() => (
        <Sequence>
          <Workflow name="inner" />
        </Sequence>
      )),
    ).toEqual(invalid("a Workflow: a workflow cannot contain another one: use <Subflow>", "smithers > Workflow > Sequence"))
    for (const nothing of [null, undefined, false, "text", []]) {
      expect(shape(() => nothing)).toEqual(invalid("there is no <Workflow>: the render returned nothing", "smithers"))
    }
  })

  it("the message of an error reads as a sentence", () => {
    const { message } = refusal(() => <Note id="a" />)
    expect(message).toBe('The workflow cannot be built: Task "a": it is outside of <Workflow> (at smithers > Note).')
  })

  it("elements of other kinds stand in prompts only", () => {
    const problem = "a div: <div> is not a component of workflows. Put such elements into the prompt of a Task"
    expect(
      refused(() => (
        <Parallel>
          <div>
            <Note id="a" />
          </div>
        </Parallel>
      )),
    ).toEqual(invalid(problem, "smithers > Workflow > Parallel"))
    expect(refusal(() => <div />).problem).toBe(problem)
  })

  it("a task holds no other nodes, however deep they are in its prompt", () => {
    const rule = "A task contains a prompt, a function or a value: move other nodes out of it"
    expect(
      refused(() => (
        <AnyTask id="a" output={outputs.note}>
          <Note id="b" />
        </AnyTask>
      )),
    ).toEqual(invalid(`Task "a": it contains a Task. ${rule}`))
    expect(
      refused(() => (
        <AnyTask id="a" agent={agent}>
          Say
          <p>
            <Loop until={true} />
          </p>
        </AnyTask>
      )),
    ).toEqual(invalid(`Task "a": it contains a Loop. ${rule}`))
  })

  it("the name of a workflow is one that can be stored and typed", () => {
    const rule = "a Workflow: its name must be a text of 1 to 1000 characters"
    for (const name of [undefined, null, "", "a\0", 7]) expect(refusal(() => <AnyWorkflow name={name} />).problem).toBe(rule)
  })
})

describe("props", () => {
  it("an unknown one is named, with those there are", () => {
    expect(
      refused(() => (
        <AnyTask id="a" output={outputs.note} retry={3}>
          x
        </AnyTask>
      )),
    ).toEqual(
      invalid(
        'Task "a": it has no prop "retry"; there are id, output, agent, deps, needs, dependsOn, skipIf, retries, corrections, allowTools, allowNetwork, root, readOnly, budget, retryPolicy, noRetry, timeout, timeoutMs, heartbeatTimeout, heartbeatTimeoutMs, continueOnFail, cache, memory, scorers, snapshots, sandbox, label, meta, compensate, needsApproval, limit, children',
      ),
    )
    const others: ReadonlyArray<readonly [React.ReactNode, string]> = [
      [<AnySequence key="s" name="s" />, 'a Sequence: it has no prop "name"; there are sandbox, skipIf, children'],
      [
        <AnyParallel key="p" limit={3} />,
        'a Parallel: it has no prop "limit"; there are children, maxConcurrency, maxItems, failFast, sandbox, skipIf',
      ],
      [<AnyBranch key="b" if={true} otherwise={null} />, 'a Branch: it has no prop "otherwise"; there are if, then, else, skipIf'],
      [
        <AnyLoop key="l" id="l" until={true} max={3} />,
        'Loop "l": it has no prop "max"; there are id, until, maxIterations, onMaxReached, skipIf, children',
      ],
      [<AnySaga key="s" id="s" undo={true} />, 'Saga "s": it has no prop "undo"; there are id, onCompensated, skipIf, children'],
      [
        <AnyTry key="t" catch={null} else={null} />,
        'a TryCatchFinally: it has no prop "else"; there are id, try, catch, catchWhen, finally, skipIf, children',
      ],
      [
        <AnySubflow key="f" id="f" name="child" />,
        'Subflow "f": it has no prop "name"; there are id, output, label, meta, skipIf, dependsOn, timeout, timeoutMs, deadline, onTimeout, workflow, input, attach, onFail, maxDepth, sandbox',
      ],
    ]
    for (const [node, problem] of others) expect(refused(() => node).problem).toBe(problem)
    expect(refusal(() => <AnyWorkflow name="w" retries={3} />).problem).toBe(
      'a Workflow: it has no prop "retries"; there are name, budget, deadline, snapshots, children',
    )
  })

  const known = "not a schema of this workflow (note, data)"
  const count = "must be a whole number of at least 0, or Infinity"
  const millis = "must be milliseconds, more than 0"
  const noAgent = 'its agent is not an agent: it has no method "generate", and is no model'
  const cases: ReadonlyArray<readonly [string, ReadonlyArray<unknown>, string]> = [
    ["output", [z.string(), "notes", null], `its output is ${known}: pass one of createSmithers(…).outputs`],
    ["retries", [-1, 1.5, "3", null, Number.NaN], `"retries" ${count}`],
    ["retryPolicy", [3, null], '"retryPolicy" must be an object or a Schedule'],
    [
      "retryPolicy",
      [{ times: 3 }],
      '"retryPolicy" has no option "times"; there are maxAttempts, backoff, initialDelay, maxDelay, factor, jitter, while',
    ],
    ["retryPolicy", [{ backoff: "quick" }], 'retry.backoff must be "exponential", "linear" or "constant"'],
    ["retryPolicy", [{ initialDelay: "soon" }], 'retry.initialDelay "soon" is not a duration'],
    ["retryPolicy", [{ jitter: "no" }, { jitter: 0 }, { jitter: null }], "retry.jitter must be true or false"],
    ["retryPolicy", [{ factor: "2" }, { factor: Number.NaN }], "retry.factor must be greater than 0"],
    ["retryPolicy", [{ initialDelayMs: 5e15 * 2 }], "retry.initialDelay 10000000000000000 is longer than 8.64e15 ms"],
    [
      "retryPolicy",
      [{ maxDelayMs: [] }, { maxDelayMs: "1m" }],
      '"retryPolicy.maxDelayMs" must be in milliseconds; use "maxDelay" for a duration',
    ],
    [
      "retryPolicy",
      [{ initialDelay: "1s", initialDelayMs: 1000 }],
      '"retryPolicy" has both initialDelay and initialDelayMs: remove one of them',
    ],
    ["retryPolicy", [[]], '"retryPolicy" must be an object or a Schedule'],
    ["noRetry", ["yes", 1], '"noRetry" must be true or false'],
    ["timeoutMs", ["2 mins", 0, -5, null, Number.POSITIVE_INFINITY], `"timeoutMs" ${millis}`],
    ["timeoutMs", ["2m", "2 minutes"], `"timeoutMs" ${millis}; a duration is given as "timeout"`],
    ["timeout", ["2 mins"], '"timeout" "2 mins" is not a duration such as "30s" or "2 minutes"'],
    ["timeout", [0], '"timeout" 0 is not longer than 0'],
    ["heartbeatTimeout", [null], '"heartbeatTimeout" null is not a duration such as "30s" or "2 minutes"'],
    ["timeoutMs", [1e300], `"timeoutMs" ${millis}, and at most 8.64e15`],
    ["heartbeatTimeoutMs", [0], `"heartbeatTimeoutMs" ${millis}`],
    ["heartbeatTimeoutMs", ["2m"], `"heartbeatTimeoutMs" ${millis}; a duration is given as "heartbeatTimeout"`],
    ["continueOnFail", [null, 1], '"continueOnFail" must be true or false'],
    ["continueOnFail", ["no"], '"continueOnFail" must be true or false, and not the text "no": write continueOnFail={false}'],
    ["dependsOn", ["b", [3], null], '"dependsOn" must be an array of task ids'],
    ["dependsOn", [["a"]], "it depends on itself"],
    ["deps", [3, null], '"deps" must be an object of schemas by name'],
    ["deps", [{ other: z.string() }, { other: "notes" }, { other: undefined }], `its dep "other" is ${known}`],
    ["deps", [{ a: outputs.note }], 'it depends on itself by "a"'],
    ["deps", [{ input: outputs.data }], 'its dep cannot be named "input", which is a field of the ctx'],
    ["needs", [{ other: "b" }], 'its need "other" is not one of its deps ()'],
    ["agent", [{}, null, [], "gpt", [agent, {}], () => ({ text: "" })], noAgent],
    ["agent", [undefined], "its agent is undefined: check the name of the variable or property"],
    ["corrections", [1], 'it has "corrections" but no agent'],
    ["allowTools", [["read"]], 'it has "allowTools" but no agent'],
    ["allowNetwork", [[]], 'it has "allowNetwork" but no agent'],
    ["root", ["src"], 'it has "root" but no agent'],
    ["readOnly", [true, false], 'it has "readOnly" but no agent'],
    ["cache", [3, "yes", null], '"cache" must be true or an object'],
    ["cache", [{ keys: 1 }], '"cache" has no option "keys"; did you mean "key"? There are key, ttl, scope, version'],
    ["cache", [{ key: "k" }], '"cache.key" must be a function'],
    ["cache", [{ ttl: "soon" }], '"cache.ttl" "soon" is not a duration such as "30s" or "2 minutes"'],
    ["cache", [{ ttl: -1 }], '"cache.ttl" -1 is not a duration such as "30s" or "2 minutes"'],
    ["label", [3, null], '"label" must be text'],
    ["meta", [3, [], null], '"meta" must be an object'],
    ["compensate", [3, "undo"], '"compensate" must be a function'],
    ["compensate", [() => {}], 'its "compensate" would never be called: put it into a <Saga>'],
    ["needsApproval", ["yes", 1, []], '"needsApproval" must be true or an object'],
    [
      "needsApproval",
      [{ title: "?" }],
      '"needsApproval" has no option "title"; there are request, onDeny, approvers, timeout, timeoutMs, deadline, onTimeout',
    ],
    [
      "needsApproval",
      [{ request: "?" }, { request: null }],
      '"needsApproval.request" must be an object with a title, or a function of ctx',
    ],
    ["needsApproval", [{ onDeny: "continue" }], '"needsApproval.onDeny" must be "fail" or "skip"'],
    ["needsApproval", [{ onTimeout: "skip" }], '"needsApproval.onTimeout" must be "deny", "approve" or "fail"'],
    ["needsApproval", [{ timeoutMs: 0 }], `"needsApproval.timeoutMs" ${millis}`],
    ["needsApproval", [{ timeout: "soon" }], '"needsApproval.timeout" "soon" is not a duration such as "30s" or "2 minutes"'],
    [
      "needsApproval",
      [{ timeout: "2d", timeoutMs: 5 }],
      'it has "needsApproval.timeout" and "needsApproval.timeoutMs", which say the same: give one of them',
    ],
    ["needsApproval", [{ approvers: "ann" }, { approvers: [] }], '"needsApproval.approvers" must be an array of at least one name'],
    ["children", [undefined], "it has nothing to do: give it a function, a value or an agent"],
    ["children", [Promise.resolve("x")], "its child is a promise: pass a function, which is called when the task runs"],
  ]
  it.each(cases)("a task's %s cannot be %j: %s", (prop, values, problem) => {
    const Mine = ({ value }: { value: unknown }) => <AnyTask id="a" output={outputs.note} {...{ children: "x", [prop]: value }} />
    for (const value of values) {
      expect(refused(() => <Mine value={value} />)).toEqual(invalid(`Task "a": ${problem}`, "smithers > Workflow > Mine"))
    }
  })

  const constants: ReadonlyArray<readonly [output: unknown, children: unknown, problem: string]> = [
    [
      outputs.data,
      "text",
      `it has text but no agent, and its output "data" does not accept text: give it an agent, a function, or a value that matches`,
    ],
    [
      outputs.data,
      <b key="b">you</b>,
      `it has text but no agent, and its output "data" does not accept text: give it an agent, a function, or a value that matches`,
    ],
    [
      kinds.outputs.choice,
      "text",
      `it has text but no agent, and its output "choice" does not accept text: give it an agent, a function, or a value that matches`,
    ],
    [outputs.data, { m: 1 }, `its value does not match its output "data": n: Invalid input: expected number, received undefined`],
    [outputs.data, 5, `its value does not match its output "data": Invalid input: expected object, received number`],
    [outputs.note, 5, `its value does not match its output "note": Invalid input: expected string, received number`],
    [
      kinds.outputs.word,
      "three words here",
      `its text does not match its output "word": Too big: expected string to have <=5 characters`,
    ],
    [
      kinds.outputs.dated,
      { at: "soon" },
      `its value does not match its output "dated": at: Expected a valid Date, actual Invalid Date`,
    ],
    [undefined, { at: new Date(0) }, "its value cannot be stored: at: a Date is not a JSON value"],
    [undefined, { f: () => 1 }, "its value cannot be stored: f: a function is not a JSON value"],
  ]
  it.each(constants)(
    "a task's value, or its text where it has no agent, is one that its output takes (%#)",
    (output, children, problem) => {
      const given = output === undefined ? {} : { output }
      const Mine = () => (
        <AnyTask id="a" {...given}>
          {children as React.ReactNode}
        </AnyTask>
      )
      const {
        problem: said,
        _tag,
        where,
      } = thrownBy(() =>
        renderPlan(
          kinds.smithers(() => (
            <Workflow name="w">
              <Mine />
            </Workflow>
          )),
        ),
      )
      expect(said).toContain(`Task "a": ${problem}`)
      expect({ _tag, where }).toEqual({ _tag: "InvalidWorkflow", where: "smithers > Workflow > Mine" })
    },
  )

  it("text in pieces is text", () => {
    const { problem } = refused(() => (
      <AnyTask id="a" output={outputs.data}>
        Hello {"you"}
      </AnyTask>
    ))
    expect(problem).toContain(`it has text but no agent, and its output "data" does not accept text`)
  })

  it("a task's value may be of the type of its output, and text where its output takes text among others", () => {
    const fine: ReadonlyArray<readonly [output: unknown, children: unknown]> = [
      [kinds.outputs.dated, { at: new Date(0) }],
      [kinds.outputs.dated, { at: "2020-01-01T00:00:00.000Z" }],
      [kinds.outputs.either, "text"],
      [kinds.outputs.either, { n: 1 }],
      [kinds.outputs.word, "short"],
      [kinds.outputs.late, "text"],
      [undefined, "text"],
      [undefined, { n: 1 }],
    ]
    for (const [output, children] of fine) {
      const given = output === undefined ? {} : { output }
      renderPlan(
        kinds.smithers(() => (
          <Workflow name="w">
            <AnyTask id="a" {...given}>
              {children as React.ReactNode}
            </AnyTask>
          </Workflow>
        )),
      )
    }
  })

  it("a task's value that was made of what was read may be right when it begins, and fails at once where it is not", async () => {
    const run = (value: (n: number | undefined) => unknown) => {
      const workflow = smithers((ctx) => (
        <Workflow name="w">
          <Task id="first" output={outputs.data}>
            {{ n: 1 }}
          </Task>
          <AnyTask id="second" output={outputs.note}>
            {value(ctx.outputMaybe(outputs.data)?.n) as React.ReactNode}
          </AnyTask>
        </Workflow>
      ))
      return Effect.runPromise(Effect.provide(workflow.run({}), Smithers.memory))
    }
    expect(await run((n) => (n === undefined ? 5 : `${n}`))).toMatchObject({ status: "finished", output: "1" })
    expect(await run((n) => n ?? 5)).toMatchObject({
      status: "failed",
      error: {
        nodeId: "second",
        attempts: 1,
        error: { name: "InvalidOutput", retryable: false, issues: [expect.stringContaining("expected string")] },
      },
    })
  })

  it("a condition is no promise, no Effect and no function that nobody calls, all of which always count as true", () => {
    const late: ReadonlyArray<readonly [unknown, string]> = [
      [Promise.resolve(false), "a promise"],
      [Effect.succeed(false), "an Effect"],
    ]
    const never = "which is always true: compute it in a task, and read its output"
    for (const [value, what] of [...late, [() => false, "a function"] as const]) {
      const Mine = () => <AnyBranch if={value} then={<Note id="a" />} />
      expect(refused(() => <Mine />)).toEqual(invalid(`a Branch: "if" is ${what}, ${never}`, "smithers > Workflow > Mine > Branch"))
    }
    for (const [value, what] of late) {
      const wrong = (problem: string, where?: string) => invalid(`${problem} is ${what}, ${never}`, where)
      expect(
        refused(() => (
          <AnyTask id="a" skipIf={value}>
            x
          </AnyTask>
        )),
      ).toEqual(wrong(`Task "a": "skipIf"`))
      expect(refused(() => <AnyTimer id="a" skipIf={value} durationMs={5} />)).toEqual(wrong(`Timer "a": "skipIf"`))
      expect(
        refused(() => (
          <AnyLoop id="a" until={value}>
            <Note id="b" />
          </AnyLoop>
        )),
      ).toEqual(wrong(`Loop "a": "until"`, "smithers > Workflow > Loop"))
    }
    expect(
      refused(() => (
        <AnyTask id="a" needsApproval={Promise.resolve(false)}>
          x
        </AnyTask>
      )),
    ).toEqual(invalid(`Task "a": "needsApproval" must be true or an object`))
    renderPlan(
      smithers((ctx) => (
        <Workflow name="w">
          <Branch if={ctx.output(outputs.data).n > 0} then={<Note id="a" />} />
          <Branch if={ctx.output(outputs.data)} then={<Note id="b" />} />
        </Workflow>
      )),
    )
  })

  it("nor is one that a function gives, when it is asked", async () => {
    const late = [async () => false, () => Effect.succeed(false), () => () => false]
    for (const [index, condition] of late.entries()) {
      for (const [name, node] of [
        [
          "until",
          <AnyLoop key="l" id="a" maxIterations={2} until={condition}>
            <Note id="b" />
          </AnyLoop>,
        ],
        [
          "skipIf",
          <AnyTask key="t" id="a" skipIf={condition}>
            x
          </AnyTask>,
        ],
        ["skipIf", <AnySignal key="s" id="a" name="s" skipIf={condition} />],
      ] as const) {
        const run = smithers(() => <Workflow name="w">{node}</Workflow>).run({})
        expect(await Effect.runPromise(Effect.provide(run, Smithers.memory))).toMatchObject({
          status: "failed",
          error: {
            _tag: "StepFailed",
            nodeId: "a",
            error: {
              name: "InvalidCondition",
              retryable: false,
              message: expect.stringContaining(`the "${name}" of "a" gave ${["a promise", "an Effect", "a function"][index]}`),
            },
          },
        })
      }
    }
  })

  const request = "must be an object with a title, or a function of ctx"
  const time = "must be a Date, epoch milliseconds, or a function of ctx"
  const waits: ReadonlyArray<readonly [Unchecked, { readonly [prop: string]: unknown }, string]> = [
    [AnyApproval, { request: "Ship?" }, `Approval "a": "request" ${request}`],
    [AnyApproval, { request: [] }, `Approval "a": "request" ${request}`],
    [AnyApproval, { request: { summary: "x" } }, `Approval "a": "request" ${request}`],
    [AnyApproval, { request: { title: 5 } }, `Approval "a": "request" ${request}`],
    [AnyTask, { children: "x", needsApproval: { request: { summary: "x" } } }, `Task "a": "needsApproval.request" ${request}`],
    [
      AnyHumanTask,
      { output: outputs.data, prompt: <b>Ship?</b> },
      'HumanTask "a": "prompt" is an element: write a question made of elements as children',
    ],
    [AnyHumanTask, { output: outputs.data, prompt: 5 }, 'HumanTask "a": "prompt" must be text, or a function of ctx'],
    [
      AnyHumanTask,
      { output: outputs.data, prompt: "x", children: "y" },
      'HumanTask "a": it has both a "prompt" and children: remove one of them',
    ],
    [AnyHumanTask, { output: outputs.data, children: null }, 'HumanTask "a": it has no question: give it a "prompt", or children'],
    [
      AnyHumanTask,
      { output: outputs.data, children: () => "x" },
      'HumanTask "a": it has a function as a child, which is never called: pass it as "prompt"',
    ],
    [
      AnyHumanTask,
      { output: outputs.data, children: ["Hi ", <Note key="b" id="b" />] },
      'HumanTask "a": it contains a Task. It contains the question for a person: move other nodes out of it',
    ],
    [AnySignal, { name: "x", correlation: { a: 1 } }, 'Signal "a": "correlation" must be text, or a function of ctx'],
    [AnyTimer, {}, 'Timer "a": it needs either a "duration" or "until"'],
    [AnyTimer, { durationMs: 5, until: 5 }, 'Timer "a": it needs either a "duration" or "until"'],
    [AnyTimer, { duration: "5s", until: 5 }, 'Timer "a": it needs either a "duration" or "until"'],
    [
      AnyTimer,
      { duration: "5s", durationMs: 5 },
      'Timer "a": it has "duration" and "durationMs", which say the same: give one of them',
    ],
    [AnyTimer, { duration: "5 secs" }, 'Timer "a": "duration" "5 secs" is not a duration such as "30s" or "2 minutes"'],
    [
      AnySignal,
      { name: "x", timeout: "5s", timeoutMs: 5 },
      'Signal "a": it has "timeout" and "timeoutMs", which say the same: give one of them',
    ],
    [AnyTimer, { until: null }, `Timer "a": "until" ${time}`],
    [AnyTimer, { until: 1e300 }, `Timer "a": "until" ${time}`],
    [AnyTimer, { durationMs: 1e300 }, `Timer "a": "durationMs" must be milliseconds, more than 0, and at most 8.64e15`],
    [AnyTimer, { until: "2030-01-01" }, `Timer "a": "until" ${time}`],
    [AnyTimer, { until: new Date("nope") }, `Timer "a": "until" ${time}`],
    [AnyTimer, { until: Number.NaN }, `Timer "a": "until" ${time}`],
  ]
  it.each(waits)("what waits cannot wait for what is not there (%#)", (Wait, props, problem) => {
    const Mine = () => <Wait id="a" {...props} />
    expect(refused(() => <Mine />)).toEqual(invalid(problem, "smithers > Workflow > Mine"))
  })

  it("a task's id is text that can be stored and typed", () => {
    const rule = "a text of 1 to 1000 characters"
    for (const [id, named] of [
      ["", 'Task ""'],
      [7, 'Task "7"'],
      [null, "a Task"],
      [undefined, "a Task"],
    ] as const) {
      const problem = `${named}: its id ${JSON.stringify(id)} is not ${rule}`
      expect(refused(() => <AnyTask id={id}>x</AnyTask>)).toEqual(invalid(problem))
    }
  })

  it("an agent has a prompt", () => {
    expect(refused(() => <AnyTask id="a" agent={agent} />)).toEqual(invalid('Task "a": it has an agent but no prompt'))
  })

  it("retries and a Schedule contradict each other", async () => {
    const { Schedule } = await import("effect")
    const { problem } = refused(() => (
      <Task id="a" retries={3} retryPolicy={Schedule.recurs(2)}>
        x
      </Task>
    ))
    expect(problem).toBe(
      'Task "a": it has both "retries" and a Schedule as "retryPolicy", which defines the number of attempts itself: remove one of them',
    )
  })

  const loops: ReadonlyArray<readonly [{ readonly [prop: string]: unknown }, string]> = [
    [{ id: "", until: true }, 'Loop "": its id "" is not a text of 1 to 1000 characters'],
    [{ id: 7, until: true }, 'Loop "7": its id 7 is not a text of 1 to 1000 characters'],
    [{ until: true, maxIterations: 0 }, 'a Loop: "maxIterations" must be a whole number of at least 1, or Infinity, and not 0'],
    [{ until: true, maxIterations: "2" }, 'a Loop: "maxIterations" must be a whole number of at least 1, or Infinity, and not "2"'],
    [{ until: true, onMaxReached: "stop" }, 'a Loop: "onMaxReached" must be "return-last" or "fail"'],
    [{}, 'a Loop: it would never end: give it "until", or a limit as "maxIterations"'],
    [{ maxIterations: Number.POSITIVE_INFINITY }, 'a Loop: it would never end: give it "until", or a limit as "maxIterations"'],
  ]
  it.each(loops)("a loop of %j is refused: %s", (props, problem) => {
    expect(refused(() => <AnyLoop {...props} />)).toEqual(invalid(problem, "smithers > Workflow > Loop"))
  })

  it("ids of sagas and tries are unique, among themselves and among tasks and loops", () => {
    const twice = () => (
      <>
        <Saga id="s">
          <Note id="a" />
        </Saga>
        <TryCatchFinally id="s" finally={<Note id="b" />} />
      </>
    )
    expect(refused(twice)).toEqual(
      invalid('TryCatchFinally "s": the id "s" is taken by another saga or try', "smithers > Workflow > TryCatchFinally"),
    )
    expect(
      refused(() => (
        <Saga id="s">
          <Note id="s" />
        </Saga>
      )).problem,
    ).toBe('Task "s": the id is taken by a saga or try')
    expect(refused(() => <AnySaga id="" />).problem).toBe('Saga "": its id "" is not a text of 1 to 1000 characters')
    expect(refused(() => <AnySaga onCompensated="stop" />).problem).toBe('a Saga: "onCompensated" must be "fail" or "continue"')
  })

  const tries: ReadonlyArray<readonly [{ readonly [prop: string]: unknown }, string]> = [
    [{ children: "x" }, 'TryCatchFinally "t": it has neither "catch" nor "finally"'],
    [{ try: null, children: null, finally: null }, 'TryCatchFinally "t": it has both "try" and children: remove one of them'],
    [{ finally: () => null }, 'TryCatchFinally "t": its "finally" is a function, but only elements may be here: put functions and'],
    [
      { catch: "sorry" },
      'TryCatchFinally "t": its "catch" is "sorry", but only elements may be here: put functions and values into a Task',
    ],
    [{ catch: { a: 1 } }, 'TryCatchFinally "t": its "catch" is {"a":1}, but only elements may be here'],
    [{ catch: null, try: 3 }, 'TryCatchFinally "t": its "try" is 3, but only elements may be here'],
    [{ catch: () => "sorry" }, 'TryCatchFinally "t": its "catch" returned "sorry", but only elements may be here'],
    [{ catch: () => [{ a: 1 }] }, 'TryCatchFinally "t": its "catch" returned [{"a":1}], but only elements may be here'],
    [{ catch: async () => null }, 'TryCatchFinally "t": its "catch" returned a promise, but only elements may be here'],
    [{ catch: () => () => null }, 'TryCatchFinally "t": its "catch" returned a function, but only elements may be here'],
  ]
  it.each(tries)("a try of %j is refused: %s", (props, problem) => {
    const refusedTry = refusal(
      () => (
        <Workflow name="w">
          <AnyTry id="t" {...props} />
        </Workflow>
      ),
      { caught: { t: {} } },
    )
    expect(refusedTry).toMatchObject({ _tag: "InvalidWorkflow", problem: expect.stringContaining(problem) })
  })

  it("what a Subflow runs is a workflow whose name can be learned", () => {
    const unnamed = smithers((ctx) => (
      <Workflow name="w">
        <Note id={JSON.parse(ctx.input.id)} />
      </Workflow>
    ))
    const of = (workflow: unknown, more = {}) => refused(() => <AnySubflow id="f" workflow={workflow} {...more} />).problem
    for (const none of [undefined, {}, "w"]) {
      expect(of(none)).toBe(
        'Subflow "f": its "workflow" is no workflow: pass the result of smithers(…) or createWorkflow(…).build(…)',
      )
    }
    expect(of(unnamed)).toContain('Subflow "f": the name of its "workflow" cannot be learned by rendering it without an input: ')
    const named = smithers(() => <Workflow name="w" />)
    expect(of(named, { onFail: "skip" })).toBe('Subflow "f": "onFail" must be "fail" or "continue"')
    expect(of(named, { attach: "no" })).toBe(
      'Subflow "f": "attach" must be true or false, and not the text "no": write attach={false}',
    )
  })

  it("a Parallel's limits are checked", () => {
    for (const maxConcurrency of [-1, 1.5, Number.NaN, "2", "0", null]) {
      const shown = Number.isNaN(maxConcurrency) ? "NaN" : JSON.stringify(maxConcurrency)
      const problem = `a Parallel: "maxConcurrency" must be a whole number of at least 1, or Infinity, and not ${shown}`
      expect(refused(() => <AnyParallel maxConcurrency={maxConcurrency} />)).toEqual(invalid(problem))
    }
    expect(refused(() => <AnyParallel failFast={1} />)).toEqual(invalid('a Parallel: "failFast" must be true or false'))
    const problem = 'a Parallel: "failFast" must be true or false, and not the text "yes": write failFast={true}'
    expect(refused(() => <AnyParallel failFast="yes" />)).toEqual(invalid(problem))
  })

  it("a condition that is a text and says no is refused: it would count as true", () => {
    for (const no of ["false", "FALSE", " no ", "off", "0", "null", "undefined"]) {
      const says = (name: string) =>
        `"${name}" is the text ${JSON.stringify(no)}, which is always true: write ${name}={false}, or compare the text`
      const loop = (
        <AnyLoop id="l" until={no} maxIterations={2}>
          <Note id="a" />
        </AnyLoop>
      )
      expect(refused(() => loop).problem).toBe(`Loop "l": ${says("until")}`)
      expect(refused(() => <AnyBranch if={no} then={<Note id="a" />} />).problem).toBe(`a Branch: ${says("if")}`)
      const task = (
        <AnyTask id="a" output={outputs.note} skipIf={no}>
          text
        </AnyTask>
      )
      expect(refused(() => task)).toEqual(invalid(`Task "a": ${says("skipIf")}`))
      expect(refused(() => <AnyApproval id="a" skipIf={no} request={{ title: "?" }} />).problem).toContain(says("skipIf"))
    }
    const draw = (until: unknown) => () => (
      <Workflow name="w">
        <AnyLoop id="l" until={until} maxIterations={2}>
          <Note id="a" />
        </AnyLoop>
      </Workflow>
    )
    for (const yes of ["done", "true", "not at all", 1, ""]) expect(renderPlan(smithers(draw(yes))).tasks).toHaveLength(1)
  })

  it("a function that gives such a text fails the run with a word on it", async () => {
    const workflow = smithers(() => (
      <Workflow name="w">
        <Loop id="l" until={() => "no"} maxIterations={2}>
          <Note id="a" />
        </Loop>
      </Workflow>
    ))
    const said = await runWorkflow(workflow, { input: {}, runtime: Smithers.memory }).then(
      (result) => JSON.stringify(result),
      (error: Error) => error.message,
    )
    expect(said).toContain('gave the text \\"no\\", which always counts as true. Give a boolean, or compare the text.')
  })

  it("text between tasks is refused, as nobody reads it", () => {
    const stray = (text: string, where: string, parents = "smithers > Workflow") =>
      invalid(
        `${where}: it contains the text "${text}", which has no effect: put it into a Task, or into a comment {/* … */}`,
        parents,
      )
    expect(
      refused(() => (
        <AnySequence>
          first <Note id="a" />
        </AnySequence>
      )),
    ).toEqual(stray("first", "a Sequence", "smithers > Workflow"))
    expect(
      refused(() => (
        <>
          Do this: <Note id="a" />
        </>
      )),
    ).toEqual(stray("Do this:", "a Workflow", "smithers"))
    expect(refused(() => <AnyParallel>{["a", "b"].join()}</AnyParallel>).problem).toContain('the text "a,b"')
    expect(refused(() => <AnyBranch if then="later" />).problem).toContain('a Branch: it contains the text "later"')
    expect(
      refused(() => (
        <AnyLoop id="l" until maxIterations={1}>
          {"x".repeat(100)}
        </AnyLoop>
      )).problem,
    ).toContain('x…", which has no effect')
    // Spaces, what is left of a list that is empty, and comments as they are written elsewhere.
    const list: ReadonlyArray<string> = []
    const draw = () => (
      <Workflow name="w">
        {" "}
        {list.length && <Note id="b" />}
        {"// Usage"}
        {"/* here */"}
        <Note id="a" /> {/* a comment */}
      </Workflow>
    )
    expect(renderPlan(smithers(draw)).tasks.map(({ id }) => id)).toEqual(["a"])
  })
})

describe("what a task waits for", () => {
  const both = (
    <>
      <Note id="one" />
      <Note id="two" />
    </>
  )

  it("a dep that several tasks could mean is to be named", () => {
    expect(
      refused(() => (
        <>
          {both}
          <Task id="a" output={outputs.note} deps={{ before: outputs.note }}>
            {({ before }) => before}
          </Task>
        </>
      )),
    ).toEqual(
      invalid('Task "a": its dep "before" has the schema "note", which 2 tasks have. Select one with needs={{ before: "…" }}'),
    )
  })

  it("a need names a task that gives what the dep is, and is one of the deps", () => {
    const withNeeds = (needs: unknown) =>
      refused(() => (
        <>
          {both}
          <AnyTask id="a" deps={{ before: outputs.data }} needs={needs}>
            {() => 1}
          </AnyTask>
        </>
      ))
    expect(withNeeds({ before: "one" })).toEqual(
      invalid('Task "a": its dep "before" has the schema "data", but task "one" has "note"'),
    )
    expect(withNeeds({ before: 3 })).toEqual(invalid('Task "a": its need "before" is not the id of a task'))
    expect(withNeeds({ befor: "one" })).toEqual(invalid('Task "a": its need "befor" is not one of its deps (before)'))
  })

  it("deps that wait for each other, or for what comes after them in a sequence, are refused with both named", () => {
    const { _tag, problem, where } = refused(() => (
      <>
        <Task id="first" output={outputs.note} deps={{ last: outputs.data }}>
          {({ last }) => `${last.n}`}
        </Task>
        <Task id="last" output={outputs.data}>
          {{ n: 1 }}
        </Task>
      </>
    ))
    expect({ _tag, where }).toEqual({ _tag: "InvalidWorkflow", where: 'sequence > [0] step "first"' })
    expect(problem).toBe('need "last" is "last", which comes later (sequence > [1] step "last")')
  })

  it.each([
    [
      "dependsOn",
      <AnyTask key="a" id="a" dependsOn={["nobody"]}>
        x
      </AnyTask>,
      "nobody",
    ],
    [
      "deps",
      <AnyTask key="a" id="a" deps={{ other: outputs.data }}>
        {() => 1}
      </AnyTask>,
      "data",
    ],
  ])("%s on what no task gives fails the run, naming it, once nothing else can run", async (_, node, missing) => {
    const workflow = smithers(() => (
      <Workflow name="w">
        {node}
        <Note id="other" />
      </Workflow>
    ))
    const result = await Effect.runPromise(workflow.run({}).pipe(Effect.provide(Smithers.memory)))
    if (result.status !== "failed") throw new Error(`the run is ${result.status}`)
    expect(result.error._tag).toBe("UnsettledRead")
    expect(result.error.message).toContain(`it needs the output of "${missing}"`)
  })
})

describe("reads", () => {
  const Reader = ({ read }: { read: (ctx: ReturnType<typeof useCtx>) => unknown }) => {
    const value = read(useCtx())
    return (
      <Task id="reader" output={outputs.note}>
        {`${value}`}
      </Task>
    )
  }
  const reads: ReadonlyArray<readonly [string, (ctx: ReturnType<typeof useCtx>) => unknown, string]> = [
    ["of an unknown key", (ctx) => ctx.output("notes"), '"notes" is not a schema of this workflow (note, data)'],
    [
      "of a schema of another workflow",
      (ctx) => ctx.outputMaybe(z.string()),
      "this schema is not a schema of this workflow (note, data)",
    ],
    [
      "of a task as what it does not give",
      (ctx) => ctx.latest("data", "one"),
      'task "one" has the output "note", but is read as "data"',
    ],
    [
      "of what several tasks give",
      (ctx) => ctx.output("note"),
      '3 tasks have the output "note" ("one", "two", "reader"): select one with nodeId',
    ],
  ]
  it.each(reads)("%s fail in the component that makes them", (_, read, problem) => {
    const refusal = refused(() => (
      <>
        <Note id="one" />
        <Note id="two" />
        <Reader read={read} />
      </>
    ))
    expect(refusal._tag).toBe("RenderFailed")
    expect(refusal.problem).toBe(`TypeError: ${problem}`)
    expect(refusal.where).toContain("at Workflow")
    expect(refusal.where).toMatch(/Reader|errors\.test/)
  })
})

describe("declarations", () => {
  const refusedBy = (act: () => unknown) => {
    const { _tag, problem, where } = thrownBy(act)
    return { _tag, problem, where }
  }
  const same = z.string()
  const declared: ReadonlyArray<readonly [string, unknown, unknown, string]> = [
    ["what is no schema", { note: 3 }, {}, '"note" must be an Effect Schema or a Standard Schema'],
    [
      "a key that cannot name a table",
      { "a b": z.string() },
      {},
      'the key "a b" is not 1 to 200 characters of A-Z a-z 0-9 _ . : @ -',
    ],
    ["the key of tasks without an output", { untyped: z.string() }, {}, 'the key "untyped" is that of tasks without an output'],
    [
      "one schema under two keys",
      { a: same, b: same },
      {},
      '"a" and "b" are the same schema: a task that names it could mean either. Make a copy',
    ],
    [
      "an output that can never be stored",
      { made: z.object({ at: z.array(z.date()) }) },
      {},
      '"made": a Date cannot be stored (at at.*): use z.iso.datetime(), and new Date(…) where it is read',
    ],
    [
      "an input that can never be stored",
      {},
      { input: z.object({ when: z.coerce.date() }) },
      '"input": a Date cannot be stored (at when): use z.iso.datetime(), and new Date(…) where it is read',
    ],
    [
      "an unknown option",
      {},
      { inputs: 1 },
      'it has no option "inputs"; did you mean "input"? There are input, output, version, maxConcurrency',
    ],
    ["an input that is no schema", {}, { input: 3 }, '"input" must be an Effect Schema or a Standard Schema'],
    ["a version that is no text", {}, { version: 3 }, '"version" must be a string'],
    [
      "a concurrency of none",
      {},
      { maxConcurrency: 0 },
      '"maxConcurrency" must be a whole number of at least 1, or Infinity, and not 0',
    ],
  ]
  it.each(declared)("createSmithers refuses %s", (_, given, options, problem) => {
    expect(refusedBy(() => createSmithers(given as typeof schemas, options as object))).toEqual(invalid(problem, "createSmithers"))
  })

  it("smithers takes a function, and not an element", () => {
    const element = (<Workflow name="w" />) as unknown as () => React.ReactNode
    expect(refusedBy(() => smithers(element))).toEqual(
      invalid("its argument must be a function of ctx that returns a <Workflow>", "smithers"),
    )
  })
})

describe("a workflow that cannot be drawn", () => {
  it("is not started: the run is refused with the same error", async () => {
    const workflow = smithers(() => <Note id="a" />)
    const error = await Effect.runPromise(Effect.flip(workflow.execute({})).pipe(Effect.provide(Smithers.memory)))
    expect({ ...error, _tag: error._tag }).toMatchObject({ _tag: "InvalidWorkflow", where: "smithers > Note" })
  })
})
