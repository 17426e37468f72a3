/**
 * The workflows that are measured, written as JSX.
 */
import { Schema } from "effect"
import { createSmithers, ForEach } from "smithers-orchestrator"

const Output = Schema.Struct({ index: Schema.Number })

const List = Schema.Struct({ items: Schema.Array(Schema.Number) })

const { Workflow, Task, smithers, outputs } = createSmithers({ output: Output, list: List })

/** `count` tasks one after another, drawn without reading anything: the same as the built one. */
export const sequential = (count: number, onRender: () => void = () => {}) =>
  smithers(() => {
    onRender()
    return (
      <Workflow name="sequential-jsx">
        {Array.from({ length: count }, (_, index) => (
          <Task key={`step-${index}`} id={`step-${index}`} output={outputs.output}>
            {() => ({ index })}
          </Task>
        ))}
      </Workflow>
    )
  })

/** A plan that grows by a task with each frame, and reads all outputs there are each time. */
export const adaptive = (count: number, onRender: () => void = () => {}) =>
  smithers((ctx) => {
    onRender()
    let known = 0
    while (known < count && ctx.outputMaybe(outputs.output, { nodeId: `task-${known}` }) !== undefined) known++
    return (
      <Workflow name="adaptive">
        {Array.from({ length: Math.min(count, known + 1) }, (_, index) => (
          <Task key={`task-${index}`} id={`task-${index}`} output={outputs.output}>
            {() => ({ index })}
          </Task>
        ))}
      </Workflow>
    )
  })

/** One task, and when it is done `count` more in one frame. Says when the first is done and when one of the others begins. */
export const sudden = (count: number, onDone: () => void, onBegin: () => void) =>
  smithers((ctx) => (
    <Workflow name="sudden">
      <Task id="first" output={outputs.output}>
        {() => {
          onDone()
          return { index: 0 }
        }}
      </Task>
      {ctx.outputMaybe(outputs.output, { nodeId: "first" }) === undefined
        ? null
        : Array.from({ length: count }, (_, index) => (
            <Task key={`task-${index}`} id={`task-${index}`} output={outputs.output} noRetry>
              {() => {
                onBegin()
                throw new Error("enough")
              }}
            </Task>
          ))}
    </Workflow>
  ))

/** A task that gives a list of `count` items, and a task for each, of which four are at work at once. */
export const forEach = (count: number, onRender: () => void, onStep: () => void) =>
  smithers((ctx) => {
    onRender()
    return (
      <Workflow name="for-each">
        <Task id="list" output={outputs.list}>
          {() => ({ items: Array.from({ length: count }, (_, index) => index) })}
        </Task>
        <ForEach id="items" items={ctx.outputMaybe(outputs.list, { nodeId: "list" })?.items ?? []} maxConcurrency={4}>
          {(item) => (
            <Task id={`item-${item}`} output={outputs.output}>
              {() => {
                onStep()
                return { index: item }
              }}
            </Task>
          )}
        </ForEach>
      </Workflow>
    )
  })
