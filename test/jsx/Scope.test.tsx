/**
 * Scopes as components: regions that are left by a condition, by time, or from outside.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { expect, it } from "@effect/vitest"
import * as TestRuntime from "@smithers/testing/TestRuntime"
import * as Effect from "effect/Effect"
import type * as React from "react"
import { createSmithers, Parallel, renderPlan, Smithers, TryCatchFinally } from "smithers-orchestrator"
import { describe } from "vitest"
import { z } from "zod"

const { Workflow, Task, Scope, Approval, Signal, smithers, outputs, useCtx } = createSmithers({
  text: z.string(),
  count: z.object({ n: z.number() }),
})

const onMemory = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) => Effect.provide(effect, Smithers.memory)
const onTestRuntime = <A, E>(effect: Effect.Effect<A, E, TestRuntime.Services>) => Effect.provide(effect, TestRuntime.layer())

/** A store in a file, each time opened as by another process. */
const inFile = () => {
  const filename = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "smithers-scope-")), "runs.db")
  return <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) => Effect.provide(effect, Smithers.sqlite({ filename }))
}

const draw = (child: () => React.ReactNode) => smithers(() => <Workflow name="w">{child()}</Workflow>)

const After = () => (
  <Task id="after" output={outputs.text}>
    after
  </Task>
)

const isThere = (ctx: { readonly outputMaybe: (target: "count", options: { readonly nodeId: string }) => unknown }) =>
  ctx.outputMaybe("count", { nodeId: "flag" }) !== undefined

describe("a Scope", () => {
  it.effect("is left when its condition holds, asked when what it has read comes, also by another process", () => {
    const open = inFile()
    const workflow = draw(() => (
      <>
        <Scope id="region" until={(ctx) => (ctx.outputMaybe(outputs.count, { nodeId: "flag" })?.n ?? 0) > 1}>
          <Parallel>
            <Signal id="flag" output={outputs.count} name="flag" />
            <Approval id="ask" request={{ title: "Go?" }} />
            <TryCatchFinally
              id="inner"
              catch={<Task id="caught">{() => null}</Task>}
              finally={
                <Task id="last" output={outputs.text}>
                  last
                </Task>
              }
            >
              <Signal id="never" name="never" />
            </TryCatchFinally>
          </Parallel>
          <Task id="unreached">{() => null}</Task>
        </Scope>
        <After />
        <Signal id="end" output={outputs.text} name="end" />
      </>
    ))
    return Effect.gen(function* () {
      expect(yield* open(workflow.run({}, { runId: "r" }))).toMatchObject({
        waits: [{ nodeId: "flag" }, { nodeId: "ask" }, { nodeId: "never" }],
      })
      yield* open(Smithers.signal("r", "flag", { payload: { n: 2 } }))
      expect(yield* open(workflow.run({}, { runId: "r" }))).toMatchObject({ waits: [{ nodeId: "end" }] })
      expect(yield* open(Effect.flip(Smithers.approve("r", "ask")))).toMatchObject({ _tag: "NotWaiting", nodeId: "ask" })
      yield* open(Smithers.signal("r", "end", { payload: "end" }))
      expect(yield* open(workflow.execute({}, { runId: "r" }))).toBe("end")
    })
  })

  it.effect("is left by a value that was read while it was drawn, and by cancelWhen; what is pending says nothing yet", () =>
    onMemory(
      Effect.gen(function* () {
        const Region = ({ as }: { readonly as: "until" | "cancelWhen" | "pending" }) => {
          const ctx = useCtx()
          const condition = as === "pending" ? !(ctx.output("count", { nodeId: "flag" }).n === 2) : isThere(ctx)
          return (
            <Scope id="region" {...(as === "cancelWhen" ? { cancelWhen: condition } : { until: condition })}>
              <Parallel>
                <Signal id="flag" output={outputs.count} name="flag" />
                <Signal id="never" name="never" />
              </Parallel>
            </Scope>
          )
        }
        for (const as of ["until", "cancelWhen", "pending"] as const) {
          const workflow = draw(() => (
            <>
              <Region as={as} />
              <After />
            </>
          ))
          expect(yield* workflow.run({}, { runId: as })).toMatchObject({ status: "waiting-event" })
          yield* Smithers.signal(as, "flag", { payload: { n: 3 } })
          expect(yield* workflow.execute({}, { runId: as })).toBe("after")
        }
      }),
    ),
  )

  it.effect("fails when its time is over, or goes on, and what is read in it then holds nothing up", () =>
    onTestRuntime(
      Effect.gen(function* () {
        const Inside = () => {
          const ctx = useCtx()
          return (
            <>
              <Signal id="flag" output={outputs.count} name="flag" />
              <Task id="of-flag" output={outputs.text}>{`${ctx.output(outputs.count, { nodeId: "flag" }).n}`}</Task>
            </>
          )
        }
        const limited = (onTimeout: "fail" | "continue") =>
          draw(() => (
            <>
              <Scope id="region" timeout="2s" onTimeout={onTimeout} label="Limited">
                <Inside />
              </Scope>
              <After />
            </>
          ))
        const failure = yield* Effect.flip(limited("fail").execute({}, { runId: "r" }))
        expect(failure).toMatchObject({ _tag: "ScopeTimedOut", nodeId: "region" })
        expect(yield* limited("continue").execute({}, { runId: "s" })).toBe("after")
      }),
    ),
  )

  it.effect("is waited for as a whole by deps on what is in it, which may be absent", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = draw(() => (
          <Parallel>
            <Scope id="region" cancelWhen={(ctx) => isThere(ctx)}>
              <Signal id="late" output={outputs.text} name="late" />
            </Scope>
            <Signal id="flag" output={outputs.count} name="flag" />
            <Task id="uses" output={outputs.text} deps={{ text: outputs.text }} needs={{ text: "late" }} noRetry>
              {({ text }) => text}
            </Task>
          </Parallel>
        ))
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({ waits: [{ nodeId: "late" }, { nodeId: "flag" }] })
        yield* Smithers.signal("r", "flag", { payload: { n: 1 } })
        expect(yield* workflow.run({}, { runId: "r" })).toMatchObject({
          status: "failed",
          error: { nodeId: "uses", error: { name: "MissingOutput" } },
        })
      }),
    ),
  )

  it("says what is wrong with its props, and smithers check asks its conditions", () => {
    const AnyScope = Scope as unknown as (props: object) => React.ReactElement
    const problemOf = (props: object): string => {
      try {
        renderPlan(draw(() => <AnyScope {...props} />))
      } catch (thrown) {
        return thrown instanceof Error ? thrown.message : ""
      }
      return ""
    }
    expect(problemOf({})).toContain('a Scope: it has no "id"')
    expect(problemOf({ id: "s", maxIterations: 2 })).toContain(
      'Scope "s": it has no prop "maxIterations"; there are id, until, cancelWhen',
    )
    expect(problemOf({ id: "s", until: "false" })).toContain("is always true")
    expect(problemOf({ id: "s", onTimeout: "continue" })).toContain('it has "onTimeout" and no "timeout"')
    expect(problemOf({ id: "s", timeoutMs: -1 })).toContain('"timeoutMs" must be milliseconds, more than 0')
    expect(problemOf({ id: "s", children: () => null })).toContain("it has a function as a child, which is never called")
    const { impurities, faults } = renderPlan(
      draw(() => (
        <>
          <Scope
            id="s"
            until={() => Math.random() > 0.5}
            cancelWhen={(ctx) => ctx.output(outputs.text, { nodeId: "after" }) === ""}
          >
            <Signal id="x" name="x" />
          </Scope>
          <After />
        </>
      )),
      { checkPurity: true },
    )
    expect(impurities.join()).toContain('scope "s" (at smithers > Workflow) evaluates "until" to')
    expect(faults.join()).toContain('"cancelWhen" reads the output of "after"')
  })
})
