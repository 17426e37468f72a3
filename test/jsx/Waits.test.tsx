/**
 * Waiting on the world, as components.
 */
import { expect, it } from "@effect/vitest"
import { Storage } from "@smithers/core/Storage"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import {
  Approval,
  createSmithers,
  HumanTask,
  Loop,
  Parallel,
  renderPlan,
  Signal,
  Smithers,
  Subflow,
  Timer,
  WaitForEvent,
} from "smithers-orchestrator"
import { describe } from "vitest"
import { z } from "zod"
import { rest } from "../core/Time.ts"

const { Workflow, Task, smithers, outputs } = createSmithers({
  diff: z.object({ summary: z.string() }),
  shipDecision: z.object({ approved: z.boolean(), note: z.string().optional(), decidedBy: z.string().nullable() }),
  deploy: z.string(),
  review: z.object({ stars: z.number().max(5) }),
  paid: z.object({ cents: z.number() }),
})

const onMemory = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) => Effect.provide(effect, Smithers.memory)

const asked: Array<string> = []
const answering = (reply: unknown) => ({
  generate: async ({ prompt = "" }: { readonly prompt?: string }) => {
    asked.push(prompt.split("\n")[0] ?? "")
    return { text: typeof reply === "string" ? reply : JSON.stringify(reply) }
  },
})
const engineer = answering({ summary: "adds a login" })
const deployer = answering("deployed")

const ship = smithers((ctx) => (
  <Workflow name="ship-feature">
    <Task id="implement" agent={engineer} output={outputs.diff}>
      Implement: {ctx.input.spec}
    </Task>
    <Approval
      id="ship"
      output={outputs.shipDecision}
      request={(ctx) => ({ title: "Ship this diff?", summary: ctx.output(outputs.diff).summary })}
      onDeny="fail"
    />
    <Task id="deploy" agent={deployer} output={outputs.deploy}>
      Deploy approved diff.
    </Task>
  </Workflow>
))

describe("the output of an approval", () => {
  const approving = (schema: z.ZodType, props: object = {}) => {
    const { Workflow, Approval, smithers, outputs } = createSmithers({ decision: schema })
    return smithers(() => (
      <Workflow name="w">
        <Approval id="ok" output={outputs.decision} request={{ title: "Ship?" }} {...props} />
      </Workflow>
    ))
  }
  const row = { note: z.string().nullable(), decidedBy: z.string().nullable(), decidedAt: z.string().nullable() }

  it("may take the whole row, parts of it, or what is not there as absent", () => {
    for (const schema of [
      z.strictObject({ approved: z.boolean(), ...row }),
      z.strictObject({ approved: z.boolean(), ...row, timedOut: z.boolean() }),
      z.object({ timedOut: z.boolean() }),
      z.object({ approved: z.boolean() }),
      z.strictObject({
        approved: z.boolean(),
        note: z.string().optional(),
        decidedBy: z.string().optional(),
        decidedAt: z.iso.datetime().optional(),
      }),
      z.object({ approved: z.literal(true) }),
      z.looseObject({}),
    ])
      expect(renderPlan(approving(schema), { input: {} }).tasks).toHaveLength(1)
  })

  it.each<[string, z.ZodType, object]>([
    ["wants another field", z.object({ approved: z.boolean(), reason: z.string() }), {}],
    ["is no object", z.string(), {}],
    ["has no place for who decides", z.strictObject({ approved: z.boolean() }), {}],
    ["wants a number for the time", z.object({ approved: z.boolean(), decidedAt: z.number() }), {}],
    ["wants a note", z.object({ approved: z.boolean(), note: z.string() }), {}],
    ["takes no denial, and goes on with one", z.object({ approved: z.literal(true) }), { onDeny: "continue" }],
  ])("is refused when it is drawn, before anybody decides, where it %s", (_, schema, props) => {
    expect(() => renderPlan(approving(schema, props), { input: {} })).toThrow(/Approval "ok".*cannot hold a decision/s)
  })
})

describe("Approval", () => {
  it.effect("suspends the run until a reviewer answers, and then the run goes on", () =>
    onMemory(
      Effect.gen(function* () {
        expect(yield* ship.run({ spec: "a login" }, { runId: "r" })).toMatchObject({
          status: "waiting-approval",
          waits: [{ nodeId: "ship" }],
        })
        const storage = yield* Storage
        expect(yield* storage.waits({})).toMatchObject([{ request: { title: "Ship this diff?", summary: "adds a login" } }])
        yield* Smithers.approve("r", "ship", { by: "ann" })
        expect(yield* ship.run({ spec: "a login" }, { runId: "r" })).toMatchObject({ status: "finished", output: "deployed" })
        expect(asked).toEqual(["Implement: a login", "Deploy approved diff."])
      }),
    ),
  )

  it.effect("that is denied fails the run with who denied it", () =>
    onMemory(
      Effect.gen(function* () {
        yield* ship.run({ spec: "a login" }, { runId: "r" })
        yield* Smithers.deny("r", "ship", { by: "bob", note: "not today" })
        expect(yield* ship.run({ spec: "a login" }, { runId: "r" })).toMatchObject({
          status: "failed",
          error: { nodeId: "ship", error: { name: "ApprovalDenied", message: "denied by bob: not today" } },
        })
      }),
    ),
  )

  it.effect("can be read while rendering, and holds back what is drawn with it", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = smithers((ctx) => (
          <Workflow name="asked">
            <Approval id="ask" output={outputs.shipDecision} request={{ title: "?" }} onDeny="continue" />
            {ctx.output(outputs.shipDecision).approved ? (
              <Task id="yes" output={outputs.deploy}>
                yes
              </Task>
            ) : (
              <Task id="no" output={outputs.deploy}>
                no
              </Task>
            )}
          </Workflow>
        ))
        expect(renderPlan(workflow, {}).tasks.map(({ id, kind, isProvisional }) => [id, kind, isProvisional])).toEqual([
          ["ask", "Approval", false],
          ["yes", "Task", true],
        ])
        yield* workflow.run({}, { runId: "r" })
        yield* Smithers.deny("r", "ask")
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ output: "no" })
      }),
    ),
  )
})

it.effect("people's tasks, signals, events and timers stand beside each other, and each gives what it waited for", () =>
  onMemory(
    Effect.gen(function* () {
      const workflow = smithers((ctx) => (
        <Workflow name="world">
          <Parallel>
            <HumanTask id="rate" output={outputs.review}>
              How was <b>{ctx.input.what}</b>?
            </HumanTask>
            <Signal id="paid" output={outputs.paid} name="paid" correlation={(ctx) => ctx.input.what} />
            <WaitForEvent id="never" output={outputs.deploy} name="never" timeoutMs={1000} onTimeout="continue" />
            <Timer id="tick" durationMs={2000} />
          </Parallel>
          <Task id="done" output={outputs.deploy}>
            {(ctx) =>
              `${ctx.output(outputs.review).stars} ${ctx.output(outputs.paid).cents} ${ctx.outputMaybe("deploy", { nodeId: "never" })}`
            }
          </Task>
        </Workflow>
      ))
      const fiber = yield* Effect.fork(workflow.execute({ what: "lunch" }, { runId: "r" }))
      yield* rest
      const storage = yield* Storage
      const waits = yield* storage.waits({})
      expect(waits.map(({ nodeId, kind }) => [nodeId, kind])).toEqual([
        ["rate", "human"],
        ["paid", "signal"],
        ["never", "signal"],
        ["tick", "timer"],
      ])
      expect(waits[0]?.request).toMatchObject({ prompt: "How was **lunch**?" })
      expect(yield* Effect.flip(Smithers.answer("r", "rate", { stars: 7 }))).toMatchObject({ _tag: "InvalidAnswer" })
      yield* Smithers.answer("r", "rate", { stars: 5 })
      yield* Smithers.signal("r", "paid", { payload: { cents: 1200 }, correlation: "dinner" })
      yield* Smithers.signal("r", "paid", { payload: { cents: 900 }, correlation: "lunch" })
      yield* rest
      yield* TestClock.adjust("2 seconds")
      expect(yield* Fiber.join(fiber)).toBe("5 900 undefined")
    }),
  ),
)

describe("a run is taken up again where something that waited has ended", () => {
  const child = smithers(() => (
    <Workflow name="child">
      <Signal id="grown" name="grown" />
    </Workflow>
  ))
  const kinds: Record<
    string,
    {
      readonly element: React.ReactElement
      readonly end: (run: string, pass: number) => Effect.Effect<unknown, unknown, Smithers.Runtime>
    }
  > = {
    Approval: {
      element: <Approval id="it" request={{ title: "?" }} />,
      end: (run) => Smithers.approve(run, "it"),
    },
    HumanTask: {
      element: <HumanTask id="it" output={outputs.review} prompt="?" />,
      end: (run) => Smithers.answer(run, "it", { stars: 1 }),
    },
    Signal: { element: <Signal id="it" name="go" />, end: (run) => Smithers.signal(run, "go") },
    WaitForEvent: { element: <WaitForEvent id="it" name="go" />, end: (run) => Smithers.signal(run, "go") },
    Timer: { element: <Timer id="it" durationMs={1000} />, end: () => TestClock.adjust("1 second") },
    Subflow: {
      element: <Subflow id="it" workflow={child} />,
      end: (run, pass) => Smithers.signal(`${run}~it~${pass}`, "grown"),
    },
  }
  /** Of a child run, what it waits for is listed too. */
  const waitsFor = (nodeId: string, iteration: number) => ({
    waits: expect.arrayContaining([expect.objectContaining({ nodeId, iteration })]),
  })
  const open = <R,>(workflow: { readonly run: (input: object, options: { readonly runId: string }) => R }) =>
    workflow.run({}, { runId: "r" })

  it.effect.each(Object.entries(kinds))("%s", ([, { element, end }]) =>
    onMemory(
      Effect.gen(function* () {
        const workflow = smithers(() => (
          <Workflow name="once">
            {element}
            <Signal id="last" output={outputs.deploy} name="last" />
          </Workflow>
        ))
        expect(yield* open(workflow)).toMatchObject(waitsFor("it", 0))
        yield* end("r", 0)
        for (let times = 0; times < 2; times++) expect(yield* open(workflow)).toMatchObject(waitsFor("last", 0))
        yield* Smithers.signal("r", "last", { payload: "done" })
        for (let times = 0; times < 2; times++) expect(yield* workflow.execute({}, { runId: "r" })).toBe("done")
      }),
    ),
  )

  it.effect.each(Object.entries(kinds))("%s in a loop", ([, { element, end }]) =>
    onMemory(
      Effect.gen(function* () {
        const workflow = smithers((ctx) => (
          <Workflow name="again">
            <Loop until={(ctx) => ctx.iterationCount(outputs.deploy) === 2}>
              {element}
              <Task id="pass" output={outputs.deploy}>{`pass ${ctx.iteration}`}</Task>
              <Signal id="last" name="last" />
            </Loop>
          </Workflow>
        ))
        for (let pass = 0; pass < 2; pass++) {
          expect(yield* open(workflow)).toMatchObject(waitsFor("it", pass))
          yield* end("r", pass)
          for (let times = 0; times < 2; times++) {
            expect(yield* open(workflow)).toMatchObject(waitsFor("last", pass))
          }
          yield* Smithers.signal("r", "last")
        }
        expect(yield* open(workflow)).toMatchObject({ status: "finished" })
        yield* workflow.execute({}, { runId: "r" })
      }),
    ),
  )
})

it.effect.each([
  ["a request", <Approval key="a" id="it" request={(ctx) => ctx.input} />, '"it" cannot wait: its "request" gave undefined'],
  ["a prompt", <HumanTask key="h" id="it" output={outputs.review} prompt={(ctx) => ctx.input} />, 'its "prompt" gave undefined'],
  ["a correlation", <Signal key="s" id="it" name="x" correlation={() => ({}) as string} />, 'its "correlation" gave an object'],
  ["a time", <Timer key="t" id="it" until={(ctx) => ctx.input} />, 'its "until" gave undefined, and must give a Date'],
] as const)("what a function gives as %s is checked when it is asked for", ([, element, message]) =>
  onMemory(
    Effect.gen(function* () {
      const workflow = smithers(() => <Workflow name="given">{element}</Workflow>)
      expect(yield* workflow.run(undefined, { runId: "r" })).toMatchObject({
        status: "failed",
        error: { nodeId: "it", error: { name: "InvalidRequest", message: expect.stringContaining(message) } },
      })
    }),
  ),
)

it.effect("a deadline that was drawn ends a wait, and stands once it has begun", () =>
  onMemory(
    Effect.gen(function* () {
      let minutes = 5
      const flow = smithers(() => (
        <Workflow name="deadline">
          <Parallel>
            <Approval id="ask" request={{ title: "?" }} onDeny="continue" deadline={new Date(minutes * 60_000)} />
            <Signal id="never" name="never" deadline={minutes * 60_000} onTimeout="continue" />
          </Parallel>
        </Workflow>
      ))
      yield* flow.run({}, { runId: "r" })
      minutes = 60
      yield* flow.run({}, { runId: "r" })
      const storage = yield* Storage
      expect((yield* storage.waits({ runId: "r" })).map(({ deadline }) => deadline)).toEqual([300_000, 300_000])
      yield* TestClock.adjust("5 minutes")
      expect(yield* flow.run({}, { runId: "r" })).toMatchObject({ status: "finished" })
    }),
  ),
)

it.effect("an approval that nobody decided in time is told from one that a person without a name denied", () =>
  onMemory(
    Effect.gen(function* () {
      const flow = smithers(() => (
        <Workflow name="late">
          <Approval id="ask" request={{ title: "?" }} onDeny="continue" timeout="1h" />
        </Workflow>
      ))
      const row = { approved: false, note: null, decidedBy: null }
      yield* flow.run({}, { runId: "late" })
      yield* TestClock.adjust("1 hour")
      const late = { ...row, decidedAt: null, timedOut: true }
      expect(yield* flow.run({}, { runId: "late" })).toMatchObject({ output: late })
      expect(yield* flow.run({}, { runId: "late" })).toMatchObject({ output: late })
      yield* flow.run({}, { runId: "denied" })
      yield* Smithers.deny("denied", "ask")
      expect(yield* flow.run({}, { runId: "denied" })).toMatchObject({
        output: { ...row, decidedAt: expect.any(String), timedOut: false },
      })
    }),
  ),
)

it.effect("times with fractions of a millisecond are rounded up, and a step beside them is done once", () =>
  Effect.gen(function* () {
    const storage = yield* Storage
    let paid = 0
    const flow = smithers(() => (
      <Workflow name="fractions">
        <Parallel>
          <Task id="paid" output={outputs.deploy} timeoutMs={20.5} retryPolicy={{ initialDelayMs: 1.5 }} retries={1}>
            {() => `paid ${++paid}`}
          </Task>
          {[0, 1, 2, 3].map((n) => (
            <Timer key={n} id={`nap-${n}`} durationMs={10 * 1.5 ** n} />
          ))}
          <Timer id="until" until={() => 0.25} />
          <Approval id="ask" request={{ title: "?" }} timeoutMs={33.3} onTimeout="approve" />
        </Parallel>
      </Workflow>
    ))
    const fiber = yield* Effect.fork(flow.execute({}, { runId: "r" }))
    yield* rest
    const waits = yield* storage.waits({ runId: "r" })
    expect(Object.fromEntries(waits.map(({ nodeId, deadline }) => [nodeId, deadline]))).toEqual({
      "nap-0": 10,
      "nap-1": 15,
      "nap-2": 23,
      "nap-3": 34,
      until: 1,
      ask: 34,
    })
    yield* TestClock.adjust("34 millis")
    yield* Fiber.join(fiber)
    expect(paid).toBe(1)
  }).pipe(Effect.scoped, Effect.provide(Smithers.sqlite({ filename: ":memory:" }))),
)

describe("a time is a duration as the builder takes it, or milliseconds", () => {
  const sleeper = smithers(() => (
    <Workflow name="sleeper">
      <Signal id="wake" name="wake" />
    </Workflow>
  ))
  const spellings = [
    ["as text", { duration: "90m" }, { timeout: "90m" }],
    ["in words", { duration: "90 minutes" }, { timeout: "90 minutes" }],
    ["as a Duration", { duration: Duration.minutes(90) }, { timeout: Duration.minutes(90) }],
    ["in milliseconds", { durationMs: 5_400_000 }, { timeoutMs: 5_400_000 }],
    ["as a number", { duration: 5_400_000 }, { timeout: 5_400_000 }],
  ] as const
  it.effect.each(spellings)("%s", ([, duration, timeout]) =>
    onMemory(
      Effect.gen(function* () {
        const workflow = smithers(() => (
          <Workflow name="times">
            <Parallel>
              <Timer id="timer" {...duration} />
              <Approval id="approval" request={{ title: "?" }} {...timeout} onTimeout="approve" />
              <HumanTask id="human" output={outputs.review} prompt="?" {...timeout} onTimeout="continue" />
              <Signal id="signal" name="never" {...timeout} onTimeout="continue" />
              <Subflow id="child" workflow={sleeper} input={{}} {...timeout} onTimeout="continue" />
              <Task id="gated" output={outputs.deploy} needsApproval={{ ...timeout, onTimeout: "approve" }}>
                done
              </Task>
              <Task id="long" output={outputs.deploy} noRetry continueOnFail {...timeout}>
                {() => Effect.never}
              </Task>
              <Task
                id="silent"
                output={outputs.deploy}
                noRetry
                continueOnFail
                {...("timeout" in timeout ? { heartbeatTimeout: timeout.timeout } : { heartbeatTimeoutMs: timeout.timeoutMs })}
              >
                {() => Effect.never}
              </Task>
            </Parallel>
            <Task id="end" output={outputs.deploy}>
              over
            </Task>
          </Workflow>
        ))
        const fiber = yield* Effect.fork(workflow.execute({}, { runId: "r" }))
        yield* rest
        yield* TestClock.adjust("89 minutes")
        yield* rest
        const storage = yield* Storage
        const own = (yield* storage.waits({})).filter(({ runId }) => runId === "r")
        expect(own.map(({ nodeId, deadline }) => [nodeId, deadline])).toEqual([
          ["timer", 5_400_000],
          ["approval", 5_400_000],
          ["human", 5_400_000],
          ["signal", 5_400_000],
          ["gated", 5_400_000],
          // A child run begins with a slot of its own, after what only waits.
          ["child", 5_400_000],
        ])
        yield* TestClock.adjust("1 minute")
        expect(yield* Fiber.join(fiber)).toBe("over")
      }),
    ),
  )
})

it("refuses what makes no sense, with the component and its id", () => {
  const refused = (child: React.ReactElement) => () =>
    renderPlan(
      smithers(() => <Workflow name="w">{child}</Workflow>),
      {},
    )
  // @ts-expect-error what is answered has a schema
  expect(refused(<HumanTask id="a" prompt="?" />)).toThrow('HumanTask "a": it has no "output"')
  // @ts-expect-error it would never fire
  expect(refused(<Timer id="a" />)).toThrow('Timer "a": it needs either a "duration" or "until"')
  expect(refused(<Signal id="a" name="" />)).toThrow('Signal "a": it has no "name"')
  // @ts-expect-error there is no such choice
  expect(refused(<Approval id="a" request={{ title: "?" }} onDeny="ask again" />)).toThrow('"onDeny" must be')
  // @ts-expect-error a request has a title
  expect(refused(<Approval id="a" request={{}} output={z.string()} />)).toThrow("its output is not a schema of this workflow")
})

describe("a wait that is not rendered any more", () => {
  it.effect("is closed in the frame that leaves it out, and begins anew where it is rendered again", () =>
    onMemory(
      Effect.gen(function* () {
        const storage = yield* Storage
        const workflow = smithers((ctx) => {
          const isActive = ctx.outputMaybe(outputs.paid, { nodeId: "on" }) !== undefined
          const isOver = ctx.outputMaybe(outputs.paid, { nodeId: "off" }) !== undefined
          return (
            <Workflow name="toggled">
              <Parallel>
                <Signal id="on" name="on" output={outputs.paid} />
                <Signal id="off" name="off" output={outputs.paid} />
                {!isActive || isOver ? <Timer id="nap" durationMs={3_600_000} /> : null}
                {!isActive || isOver ? <Approval id="ask" output={outputs.shipDecision} request={{ title: "?" }} /> : null}
              </Parallel>
            </Workflow>
          )
        })
        const open = Effect.map(storage.waits({}), (waits) => waits.map(({ nodeId, deadline }) => [nodeId, deadline]).sort())
        const run = workflow.run({}, { runId: "r" })
        yield* run
        expect(yield* open).toEqual([
          ["ask", null],
          ["nap", 3_600_000],
          ["off", null],
          ["on", null],
        ])
        yield* Smithers.signal("r", "on", { payload: { cents: 1 } })
        yield* Smithers.approve("r", "ask")
        // The signal was first.
        yield* run
        expect(yield* open).toEqual([["off", null]])
        expect((yield* storage.runnable(1e9)).runs).toEqual([])
        expect(yield* Effect.flip(Smithers.approve("r", "ask"))).toMatchObject({ _tag: "NotWaiting" })
        yield* TestClock.adjust("2 hours")
        yield* Smithers.signal("r", "off", { payload: { cents: 1 } })
        expect((yield* run).status).toBe("waiting-approval")
        expect(yield* open).toEqual([
          ["ask", null],
          ["nap", 10_800_000],
        ])
      }),
    ),
  )
})
