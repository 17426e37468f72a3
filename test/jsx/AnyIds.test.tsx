/** Tasks whose ids are made of what agents gave: any text, and found by it wherever a task can be named. */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import {
  Approval,
  createSmithers,
  HumanTask,
  Loop,
  Parallel,
  renderPlan,
  Saga,
  Sequence,
  Smithers,
  Subflow,
  TryCatchFinally,
} from "smithers-orchestrator"
import { describe } from "vitest"
import { z } from "zod"

const { Workflow, Task, smithers, outputs, useCtx } = createSmithers({
  plan: z.object({ files: z.array(z.string()) }),
  fix: z.object({ file: z.string() }),
  note: z.string(),
})

const stores = {
  memory: () => Smithers.memory,
  sqlite: () => Smithers.sqlite({ filename: ":memory:" }),
}

/** What an agent might list. */
const files = [
  "src/a.ts",
  "src/a.ts/1",
  "docs/read me (old).md",
  "日本語/ファイル.ts",
  "a b",
  "a\nb",
  "cut \ud83d",
  "100%",
  "~/x~compensate",
  "it's [here]",
  "--flag=1",
]

const Plan = () => (
  <Task id="plan it / now" output={outputs.plan}>
    {{ files }}
  </Task>
)

describe.each(Object.entries(stores))("on %s", (_, store) => {
  const on = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) => Effect.provide(effect, store())

  it.effect("a task per item that an agent listed runs once, and is read by its id from renders and functions", () =>
    on(
      Effect.gen(function* () {
        const ran: Array<string> = []
        const Fixes = () => {
          const ctx = useCtx()
          const plan = ctx.outputMaybe(outputs.plan, { nodeId: "plan it / now" })
          const fixed = files.flatMap((file) => ctx.outputMaybe(outputs.fix, { nodeId: `fix ${file}` })?.file ?? [])
          return (
            <>
              <Parallel>
                {plan?.files.map((file) => (
                  <Task key={file} id={`fix ${file}`} output={outputs.fix}>
                    {() => {
                      ran.push(file)
                      return { file }
                    }}
                  </Task>
                ))}
              </Parallel>
              {fixed.length === files.length && (
                <Task id="all" output={outputs.note}>
                  {(ctx) => files.map((file) => ctx.latest(outputs.fix, `fix ${file}`)?.file).join("|")}
                </Task>
              )}
            </>
          )
        }
        const workflow = smithers(() => (
          <Workflow name="any ids / of tasks">
            <Plan />
            <Fixes />
          </Workflow>
        ))
        expect(yield* workflow.execute({}, { runId: "run / 1" })).toBe(files.join("|"))
        expect([...ran].sort()).toEqual([...files].sort())
        expect(yield* workflow.execute({}, { runId: "run / 1" })).toBe(files.join("|"))
        expect(ran).toHaveLength(files.length)
        const { nodes } = yield* (yield* Storage).inspect("run / 1")
        const ids = nodes.map(({ nodeId }) => nodeId)
        for (const file of files.filter((file) => file.isWellFormed() && !file.endsWith("~compensate")))
          expect(ids).toContain(`fix ${file}`)
        expect(new Set(ids).size).toBe(files.length + 2)
      }),
    ),
  )

  it.effect("deps, needs and dependsOn name tasks by their text", () =>
    on(
      Effect.gen(function* () {
        const order: Array<string> = []
        const note = (id: string, more: object = {}) => (
          <Task key={id} id={id} output={outputs.note} {...more}>
            {() => {
              order.push(id)
              return id
            }}
          </Task>
        )
        const workflow = smithers(() => (
          <Workflow name="w">
            <Parallel>
              {files.map((file, index) => note(file, index === 0 ? {} : { dependsOn: [files[index - 1]] }))}
              <Task
                id="sum / up"
                output={outputs.note}
                deps={{ [files[1] as string]: outputs.note, other: outputs.note, "~/x~compensate": outputs.note }}
                needs={{ other: "cut \ud83d" }}
              >
                {(deps: { readonly [name: string]: string }) => Object.values(deps).join("|")}
              </Task>
            </Parallel>
          </Workflow>
        ))
        const output = (yield* workflow.execute({}, { runId: "r" })) as ReadonlyArray<string>
        expect(output.at(-1)).toBe(`${files[1]}|cut \ud83d|~/x~compensate`)
        expect(order).toEqual(files)
      }),
    ),
  )

  it.effect("a dep may have the name that a dependency without a value is given", () =>
    on(
      Effect.gen(function* () {
        const workflow = smithers(() => (
          <Workflow name="w">
            {["a", "b", "after:a"].map((id) => (
              <Task key={id} id={id} output={outputs.note}>
                {`of ${id}`}
              </Task>
            ))}
            <Task
              id="sum"
              output={outputs.note}
              deps={{ "after:b": outputs.note, "after:a": outputs.note }}
              needs={{ "after:b": "a" }}
              dependsOn={["b", "a"]}
            >
              {(deps: { readonly [name: string]: string }) => `${deps["after:b"]}, ${deps["after:a"]}`}
            </Task>
          </Workflow>
        ))
        expect(yield* workflow.execute({}, { runId: "r" })).toBe("of a, of after:a")
      }),
    ),
  )

  it.effect("what is asked for, retried and undone is known by its text", () =>
    on(
      Effect.gen(function* () {
        const undone: Array<string> = []
        let isBroken = true
        const child = smithers(() => (
          <Workflow name="child / ü">
            <Task id="x">{() => "child"}</Task>
          </Workflow>
        ))
        const workflow = smithers(() => (
          <Workflow name="w">
            <Approval id="ship src/a.ts?" request={{ title: "?" }} />
            <HumanTask id="rate [1]" output={outputs.note} prompt="?" />
            <Task id="gate / it" output={outputs.note} needsApproval>
              {() => "x"}
            </Task>
            <Loop id="loop / ü" until={(ctx) => ctx.iterationCount(outputs.note, "pass / of it") >= 2} maxIterations={5}>
              <Task id="pass / of it" output={outputs.note}>
                {() => "x"}
              </Task>
            </Loop>
            <TryCatchFinally
              id="try (a)"
              catch={(error) => (
                <Task id="caught / it" output={outputs.note}>
                  {() => error.nodeId}
                </Task>
              )}
            >
              <Saga id="saga / 1">
                <Task id="a/b" output={outputs.note} compensate={() => void undone.push("a/b")}>
                  {() => "x"}
                </Task>
                <Task id="boom / now" noRetry>
                  {() => {
                    throw new Error("no")
                  }}
                </Task>
              </Saga>
            </TryCatchFinally>
            <Subflow id="sub / flow" workflow={child} />
            <Task id="last / ü" output={outputs.note} noRetry>
              {(ctx) => {
                if (isBroken) throw new Error("not yet")
                return ctx.output(outputs.note, { nodeId: "caught / it" })
              }}
            </Task>
          </Workflow>
        ))
        const again = workflow.run({}, { runId: "r" })
        expect((yield* again).status).toBe("waiting-approval")
        yield* Commands.approve("r", "ship src/a.ts?")
        expect((yield* again).status).toBe("waiting-approval")
        yield* Commands.answer("r", "rate [1]", "5")
        expect((yield* again).status).toBe("waiting-approval")
        yield* Commands.approve("r", "gate / it")
        expect(yield* again).toMatchObject({ status: "failed", error: { nodeId: "last / ü" } })
        expect(undone).toEqual(["a/b"])
        isBroken = false
        yield* Commands.retryNode("r", "last / ü")
        expect(yield* again).toMatchObject({ status: "finished", output: "boom / now" })
        const { nodes } = yield* (yield* Storage).inspect("r")
        expect(nodes.filter(({ kind }) => kind !== "step").map(({ nodeId }) => nodeId)).toEqual(["loop / ü", "saga / 1", "try (a)"])
      }),
    ),
  )
})

describe("a plan that is only drawn", () => {
  const workflow = smithers(() => (
    <Workflow name="w">
      <Plan />
      <Task id="src/1" output={outputs.note}>
        one
      </Task>
      <Loop id="l" until={(ctx) => ctx.iterationCount(outputs.note, "in/it") > 9}>
        <Task id="in/it" output={outputs.note}>
          {(ctx) => `pass ${ctx.iteration}`}
        </Task>
        <Show />
      </Loop>
    </Workflow>
  ))
  function Show() {
    const ctx = useCtx()
    return (
      <Sequence>
        <Task id="shown" output={outputs.note}>
          {`${ctx.outputMaybe(outputs.note, { nodeId: "src/1" })}, ${ctx.latest(outputs.note, "in/it")}`}
        </Task>
      </Sequence>
    )
  }
  const shown = (given: { readonly [task: string]: unknown }) =>
    renderPlan(workflow, { outputs: given }).tasks.find(({ id }) => id === "shown")?.content

  it("takes what reads like a pass for the task that has the whole as its id, and otherwise for that pass", () => {
    expect(shown({ "src/1": "a" })).toBe("a, undefined")
    expect(shown({ "src/1": "a", "in/it": "b" })).toBe("a, b")
    expect(shown({ "src/1/0": "a", "in/it/2": "c" })).toBe("a, c")
  })
})
