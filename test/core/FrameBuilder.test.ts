/** Frames of a run, one after another, also where the store takes one back. */
import { describe, expect, it } from "@effect/vitest"
import type { InboxMessage } from "@smithers/core/Inbox"
import * as Millis from "@smithers/core/Millis"
import type { RunEvent } from "@smithers/core/RunEvent"
import * as RunState from "@smithers/core/RunState"
import * as FrameBuilder from "../../packages/core/src/internal/frameBuilder.ts"

const at = Millis.make(5)
const started: RunEvent = { _tag: "RunStarted", workflow: "w" }
const signal = (id: string): InboxMessage => ({ id, runId: "r", at, command: { _tag: "Signal", name: "s", payload: id } })
const received = (id: string): RunEvent => ({ _tag: "SignalReceived", id, name: "s", payload: id, submittedAt: at })
const failed: RunEvent = {
  _tag: "NodeFailed",
  nodeId: "a",
  iteration: 0,
  error: { name: "Error", message: "no", retryable: false },
}

const begin = () => FrameBuilder.make("r", 3, RunState.empty("r"))

describe("a frame that is being made", () => {
  it("holds what happened and the state that follows, and is numbered by the state before it", () => {
    const frame = begin()
    expect(frame.isEmpty).toBe(true)
    frame.append(started, at)
    frame.consume(signal("one"), at)
    expect(frame.isEmpty).toBe(false)
    expect(frame.state).toMatchObject({ seq: 2, workflow: "w", frame: 0 })
    expect(frame.build({ at, plan: { text: "t", base: undefined } })).toMatchObject({
      runId: "r",
      epoch: 3,
      frame: 1,
      firstSeq: 1,
      at: 5,
      events: [started, received("one")],
      consumed: ["one"],
      plan: { text: "t" },
    })
    expect([frame.isEmpty, frame.state.frame]).toEqual([true, 1])
    frame.accept()
    frame.append(received("two"), at)
    expect(frame.build({ at })).toMatchObject({ frame: 2, firstSeq: 3, events: [received("two")], consumed: [], plan: undefined })
  })

  it("hears each command once, also one that makes no event any more", () => {
    const frame = begin()
    expect(frame.consume(signal("one"), at)).toBe(true)
    expect(frame.consume(signal("one"), at)).toBe(false)
    const unpause: InboxMessage = { id: "two", runId: "r", at, command: { _tag: "Unpause" } }
    expect(frame.consume(unpause, at)).toBe(true)
    frame.build({ at })
    frame.accept()
    expect(frame.consume(signal("one"), at)).toBe(false)
    expect(frame.isEmpty).toBe(true)
  })

  it("that is taken back leaves the state as it was, and is begun again with what it was given", () => {
    const frame = begin()
    frame.append(started, at)
    frame.build({ at })
    frame.accept()
    const before = frame.state
    frame.consume(signal("one"), at)
    frame.cache({ nodeId: "a", iteration: 0, key: "kept" })
    frame.cache({ nodeId: "b", iteration: 0, key: "not kept" })
    frame.mark()
    frame.append(failed, at)
    frame.interrupt({ key: "a/0", reason: "cancelled" })
    const refused = frame.build({ at, sent: [] })
    expect(frame.pending).toBe(refused)
    expect(frame.received()).toEqual([received("one")])
    frame.takeBack(({ nodeId }) => nodeId === "a")
    expect([frame.state, frame.events, frame.interrupts, frame.pending]).toEqual([before, [], [], undefined])
    for (const event of [received("one")]) frame.append(event, at)
    expect(frame.build({ at })).toMatchObject({
      frame: refused.frame,
      firstSeq: refused.firstSeq,
      events: [received("one")],
      consumed: ["one"],
      cache: [{ nodeId: "a", iteration: 0, key: "kept" }],
    })
  })

  it("is not taken back behind one that the store has", () => {
    const frame = begin()
    frame.append(started, at)
    frame.mark()
    frame.build({ at })
    frame.accept()
    frame.append(failed, at)
    frame.build({ at })
    frame.takeBack()
    expect(frame.state).toMatchObject({ seq: 1, frame: 1, workflow: "w" })
  })
})
