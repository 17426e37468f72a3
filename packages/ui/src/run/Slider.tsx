/** @jsxImportSource react */
/** The frames of a run as a slider that the whole page follows. */
import { useEffect, useState } from "react"
import { frames } from "../api/Queries.ts"
import { useKeys } from "../app/Keyboard.ts"
import { Clock } from "../parts/Basics.tsx"
import * as Marks from "../travel/Marks.ts"

/** The marks of all frames of a run, read on from where one has got to as it goes on. */
export const useMarks = (
  runId: string,
  seq: number | undefined,
): { readonly marks: ReadonlyArray<Marks.Mark>; readonly isWhole: boolean } => {
  const [found, setFound] = useState<{
    readonly runId: string
    readonly marks: ReadonlyArray<Marks.Mark>
    readonly isWhole: boolean
  }>({ runId, marks: [], isWhole: false })
  const known = found.runId === runId ? found.marks : []
  const last = known.at(-1)?.seq ?? 0
  // biome-ignore lint/correctness/useExhaustiveDependencies: it reads on from `last`, and `known` belongs to it
  useEffect(() => {
    if (seq === undefined || last >= seq) return
    const cut = new AbortController()
    const read = async (): Promise<void> => {
      let marks = known
      for (let after: number | null = last; after !== null && !cut.signal.aborted; ) {
        const page: Awaited<ReturnType<typeof frames>> = await frames(runId, after, cut.signal)
        marks = [...marks, ...page.frames.map(Marks.markOf)]
        after = page.frames.length === 0 ? null : page.next
        setFound({ runId, marks, isWhole: after === null })
      }
    }
    // What cannot be read now is read with the next event, or when the server is there again.
    read().catch(() => undefined)
    return () => cut.abort()
  }, [runId, seq, last])
  return { marks: known, isWhole: found.isWhole }
}

interface Props {
  readonly marks: ReadonlyArray<Marks.Mark>
  readonly frame: number | undefined
  readonly onFrame: (frame: number | undefined) => void
  readonly onFork: (() => void) | undefined
  readonly onNode: (nodeId: string, iteration: number) => void
}

export const Slider = ({ marks, frame, onFrame, onFork, onNode }: Props) => {
  const last = marks.length - 1
  const index = frame === undefined ? last : Marks.indexAt(marks, frame)
  const mark = marks[index]
  const step = (by: number): void => {
    const next = Math.min(last, Math.max(0, index + by))
    const there = marks[next]
    if (there === undefined) return
    onFrame(next === last && by > 0 ? undefined : there.frame)
  }
  useKeys(["run"], {
    frameBack: () => step(-1),
    frameOn: () => step(1),
    frameLive: () => onFrame(undefined),
    nextFailure: () => {
      const next = Marks.nextFailure(marks, frame ?? -1)
      const node = next?.failed[0]
      if (next === undefined) return
      onFrame(next.frame)
      if (node !== undefined) onNode(node.nodeId, node.iteration)
    },
  })
  if (mark === undefined) return null
  return (
    <section className="slider" aria-label="Frames">
      <div className="bar">
        <button type="button" aria-label="One frame back ([)" disabled={index <= 0} onClick={() => step(-1)}>
          ‹
        </button>
        <button type="button" aria-label="One frame on (])" disabled={frame === undefined} onClick={() => step(1)}>
          ›
        </button>
      </div>
      <div className="track">
        {Marks.thinned(marks, 600).map(({ mark, place }) => (
          <i
            key={mark.frame}
            className={`mark ${mark.hasFailure ? "failed" : mark.forks.length > 0 ? "fork" : mark.changesPlan ? "retry" : "wait"}`}
            style={{ left: `calc(8px + ${place} * (100% - 16px))` }}
            title={`frame ${mark.frame}: ${mark.hasFailure ? "a failure" : mark.forks.length > 0 ? `forked as ${mark.forks.join(", ")}` : mark.changesPlan ? "the plan changed" : "a wait began"}`}
          />
        ))}
        <input
          type="range"
          aria-label="Frame"
          aria-valuetext={`frame ${mark.frame}: ${mark.text}`}
          min={0}
          max={Math.max(1, last)}
          value={index}
          onChange={({ target }) => {
            const next = Number(target.value)
            onFrame(next >= last ? undefined : marks[next]?.frame)
          }}
        />
      </div>
      <div className="bar">
        <span className="soft">
          frame {mark.frame} of {marks[last]?.frame}
        </span>
        {frame === undefined ? <span className="chip active">live</span> : null}
      </div>
      {frame === undefined ? null : (
        <div className="past" style={{ gridColumn: "1 / -1" }} data-past>
          <strong>As of frame {mark.frame}</strong>
          <Clock at={mark.at} />
          <span className="grow cut">{mark.text}</span>
          {mark.changesPlan ? (
            <span>
              plan: {mark.added.length > 0 ? `+${mark.added.length} ` : ""}
              {mark.removed.length > 0 ? `−${mark.removed.length} ` : ""}
              {mark.changed.length > 0 ? `~${mark.changed.length}` : ""}
            </span>
          ) : null}
          {onFork === undefined ? null : (
            <button type="button" onClick={onFork}>
              Fork from here…
            </button>
          )}
          <button type="button" onClick={() => onFrame(undefined)}>
            Back to now
          </button>
        </div>
      )}
    </section>
  )
}
