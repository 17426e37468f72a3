/** The output of a workflow of components, where its schema is declared. */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { createSmithers, Loop, Parallel, runWorkflow, Sequence, Smithers } from "smithers-orchestrator"
import { describe } from "vitest"
import { z } from "zod"

const onMemory = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) => Effect.provide(effect, Smithers.memory)

const schemas = { report: z.object({ title: z.string(), round: z.number() }), note: z.string() }
const { Workflow, Task, TryCatchFinally, smithers, outputs } = createSmithers(schemas, { output: "report" })

const Report = ({ id, round, skipIf = false }: { readonly id: string; readonly round: number; readonly skipIf?: boolean }) => (
  <Task id={id} output={outputs.report} skipIf={skipIf}>
    {() => ({ title: id, round })}
  </Task>
)
const Note = ({ id }: { readonly id: string }) => (
  <Task id={id} output={outputs.note}>
    noted
  </Task>
)

describe("the output of a run is that of the last task that has given the declared schema", () => {
  const cases: ReadonlyArray<readonly [string, React.ReactNode, unknown]> = [
    ["where others follow", [<Report key="1" id="a" round={1} />, <Note key="2" id="n" />], { title: "a", round: 1 }],
    [
      "where a later one was skipped",
      [<Report key="1" id="a" round={1} />, <Report key="2" id="b" round={2} skipIf />],
      { title: "a", round: 1 },
    ],
    [
      "within groups",
      <Sequence key="1">
        <Parallel>
          <Note id="n" />
          <Report id="a" round={1} />
          <Report id="b" round={2} />
          <Note id="m" />
        </Parallel>
        <Note id="o" />
      </Sequence>,
      { title: "b", round: 2 },
    ],
    [
      "of the last pass of a loop",
      <Loop key="1" until={(ctx) => ctx.iterationCount(outputs.report) === 3} maxIterations={5}>
        <Task id="a" output={outputs.report}>
          {({ iteration }) => ({ title: "a", round: iteration })}
        </Task>
        <Note id="n" />
      </Loop>,
      { title: "a", round: 2 },
    ],
    [
      "of what was done in place of what failed",
      <TryCatchFinally key="1" catch={<Report id="b" round={2} />}>
        <Report id="a" round={1} />
        <Task id="fails" noRetry>
          {() => Effect.fail("no")}
        </Task>
      </TryCatchFinally>,
      { title: "b", round: 2 },
    ],
    ["and absent where none has", <Note key="1" id="n" />, undefined],
  ]
  it.effect.each(cases)("%s", ([, children, output]) =>
    onMemory(
      Effect.gen(function* () {
        const workflow = smithers(() => <Workflow name="w">{children}</Workflow>)
        expect(yield* workflow.execute({}, { runId: "r" })).toEqual(output)
        // Read back from what is stored.
        expect(yield* workflow.execute({}, { runId: "r" })).toEqual(output)
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject(output === undefined ? { status: "finished" } : { output })
      }),
    ),
  )

  it("and its type is known to callers", async () => {
    const workflow = smithers(() => (
      <Workflow name="w">
        <Report id="a" round={1} />
        <Note id="n" />
      </Workflow>
    ))
    const result = await runWorkflow(workflow, { input: {}, runtime: Smithers.memory })
    if (result.status !== "finished") throw new Error(result.status)
    const title: string | undefined = result.output?.title
    expect(title).toBe("a")
  })

  it.effect("as its decoded value, also for a workflow that runs it as a child", () =>
    onMemory(
      Effect.gen(function* () {
        const when = createSmithers({ at: Schema.Struct({ at: Schema.Date }), note: z.string() }, { output: "at" })
        const child = when.smithers(() => (
          <when.Workflow name="child">
            <when.Task id="at" output="at">
              {{ at: "2030-01-01T00:00:00.000Z" }}
            </when.Task>
            <when.Task id="n" output="note">
              noted
            </when.Task>
          </when.Workflow>
        ))
        const parent = Smithers.createWorkflow({ name: "parent", input: Schema.Struct({}) }).build(($) => {
          const found = $.subflow("child", { workflow: child, input: {} })
          const year = $.step("year", {
            needs: { found },
            output: Schema.NullOr(Schema.Number),
            run: (given) => given.found?.at.getUTCFullYear() ?? null,
          })
          return $.sequence(found, year)
        })
        expect((yield* child.execute({}, { runId: "c" }))?.at).toEqual(new Date("2030-01-01T00:00:00.000Z"))
        expect(yield* parent.execute({}, { runId: "p" })).toBe(2030)
      }),
    ),
  )

  it("which is one of the workflow's", () => {
    expect(() => createSmithers(schemas, { output: schemas.report })).not.toThrow()
    // @ts-expect-error it is none
    expect(() => createSmithers(schemas, { output: "reprot" })).toThrow('"output" is not one of the schemas (report, note)')
    expect(() => createSmithers(schemas, { output: z.string() })).toThrow('"output" is not one of the schemas (report, note)')
    // @ts-expect-error the input is no output
    expect(() => createSmithers({ ...schemas, input: z.object({}) }, { output: "input" })).toThrow(
      '"output" is not one of the schemas',
    )
  })
})
