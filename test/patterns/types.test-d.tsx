/** @jsxImportSource smithers-orchestrator */
/**
 * Types of patterns: an output must have the fields that the pattern reads, and outcomes have the types of the outputs.
 */
import { Panel, Poller, ReviewLoop } from "smithers-orchestrator/patterns"
import { expectTypeOf } from "vitest"
import { agent, outputs, Task } from "./Fixture.tsx"

const one = agent("one")

export const right = (
  <ReviewLoop
    id="a"
    producer={one}
    reviewer={[one, one]}
    produceOutput={outputs.draft}
    reviewOutput={outputs.review}
    result={({ outcome, draft, review }) => {
      expectTypeOf(outcome).toEqualTypeOf<"approved" | "exhausted" | "stalled" | "failed">()
      expectTypeOf(draft).toEqualTypeOf<{ text: string } | undefined>()
      expectTypeOf(review?.approved).toEqualTypeOf<boolean | undefined>()
      return draft
    }}
  >
    Write.
  </ReviewLoop>
)

export const withoutApproved = (
  // @ts-expect-error its values lack "approved"
  <ReviewLoop id="a" producer={one} reviewer={one} produceOutput={outputs.draft} reviewOutput={outputs.draft}>
    Write.
  </ReviewLoop>
)

export const withoutSatisfied = (
  // @ts-expect-error its values lack "satisfied"
  <Poller id="a" checkOutput={outputs.draft} checker={one} />
)

export const votes = (
  <Panel id="a" panelists={{ one }} panelistOutput={outputs.draft} voteOf={({ text }) => text}>
    Vote.
  </Panel>
)

export const elements = (
  <Poller
    id="a"
    checkOutput={outputs.check}
    checker={({ id, output }) => (
      <Task id={id} output={output}>
        {(ctx) => ({ satisfied: ctx.iteration > 1 })}
      </Task>
    )}
  />
)

export const noSuchProp = (
  // @ts-expect-error there is no prop "rounds"
  <ReviewLoop id="a" producer={one} reviewer={one} produceOutput={outputs.draft} reviewOutput={outputs.review} rounds={2}>
    Write.
  </ReviewLoop>
)
