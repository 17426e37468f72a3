/** @jsxImportSource react */
/** The frames of a run as a slider that the whole page follows. */
import { useEffect, useRef, useState } from "react"
import type { FramePage } from "../api/Answers.ts"
import type { LiveEvent, Note } from "../api/Live.ts"
import { frames, listeners } from "../api/Queries.ts"
import { useKeys } from "../app/Keyboard.ts"
import { Clock } from "../parts/Basics.tsx"
import * as Marks from "../travel/Marks.ts"

/** Milliseconds after which frames are read whose events the stream has told of. */
const readsAfter = 400

/** Reads on in the frames of a run, one page after another and never two at once. */
const readerOf = (runId: string, show: (marks: ReadonlyArray<Marks.Mark>) => void) => {
  const cut = new AbortController()
  let marks: ReadonlyArray<Marks.Mark> = []
  // Events that the stream has told of, of frames that are not read yet.
  let told: ReadonlyArray<LiveEvent> = []
  let [isBusy, isDue] = [false, false]
  let soon: ReturnType<typeof setTimeout> | undefined
  const last = (): number => marks.at(-1)?.seq ?? 0
  const showAll = (): void => {
    told = told.filter(({ seq }) => seq > last())
    show(told.length === 0 ? marks : [...marks, ...Marks.ofEvents(told)])
  }
  const work = async (): Promise<void> => {
    isBusy = true
    try {
      while (isDue) {
        isDue = false
        for (let after: number | null = marks.at(-1)?.seq ?? 0; after !== null; ) {
          const page: FramePage = await frames(runId, after, cut.signal)
          after = page.frames.length === 0 ? null : page.next
          if (page.frames.length === 0) continue
          marks = [...marks, ...page.frames.map(Marks.markOf)]
          showAll()
        }
      }
    } catch {
      // Frames that cannot be read now are read with the next event, or when the server is there again.
    } finally {
      isBusy = false
    }
  }
  const more = (): void => {
    isDue = true
    if (!isBusy && !cut.signal.aborted) void work()
  }
  /** Shows frames of events at once if none is missing before them, and reads them a little later. */
  const take = (events: ReadonlyArray<LiveEvent>): void => {
    const known = told.at(-1)?.seq ?? last()
    const fresh = events.filter(({ seq }) => seq > known)
    if (fresh.length === 0) return
    if (known === 0 || fresh[0]?.seq !== known + 1) return more()
    told = [...told, ...fresh]
    showAll()
    soon ??= setTimeout(() => {
      soon = undefined
      more()
    }, readsAfter)
  }
  const stop = (): void => {
    clearTimeout(soon)
    cut.abort()
  }
  return { more, take, last, stop }
}

/** The marks of all frames of a run, read on from where one has got to as soon as something happens in it. `seq` is its last known event. */
export const useMarks = (runId: string, seq: number | undefined): ReadonlyArray<Marks.Mark> => {
  const [found, setFound] = useState<{ readonly runId: string; readonly marks: ReadonlyArray<Marks.Mark> }>({ runId, marks: none })
  const reader = useRef<ReturnType<typeof readerOf>>(undefined)
  useEffect(() => {
    const mine = readerOf(runId, (marks) => setFound({ runId, marks }))
    reader.current = mine
    mine.more()
    const listen = (note: Note): void => {
      if ("reset" in note) return mine.more()
      if (!("runs" in note) || !note.runs.includes(runId)) return
      const events = note.events.filter((event) => event.runId === runId)
      if (events.length === 0) mine.more()
      else mine.take(events)
    }
    listeners.add(listen)
    return () => {
      listeners.delete(listen)
      mine.stop()
    }
  }, [runId])
  useEffect(() => {
    if (seq !== undefined && reader.current !== undefined && reader.current.last() < seq) reader.current.more()
  }, [seq])
  return found.runId === runId ? found.marks : none
}

const none: ReadonlyArray<Marks.Mark> = []

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
