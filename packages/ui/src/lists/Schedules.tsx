/** @jsxImportSource react */
/** Schedules: when runs start by the clock, and what became of the last ticks. */
import { useQuery, useQueryClient } from "@tanstack/react-query"
import { useEffect, useState } from "react"
import { Link } from "wouter"
import type { ScheduleList, ShownSchedule } from "../api/Answers.ts"
import { path, post } from "../api/Client.ts"
import * as Queries from "../api/Queries.ts"
import { usePlace } from "../app/Place.ts"
import { Ago, Chip, Clock, Dialog, Empty, Problem } from "../parts/Basics.tsx"
import { Value } from "../parts/Value.tsx"
import type { Tone } from "../plan/Tone.ts"
import { runAddress } from "../state/Url.ts"
import { ScheduleDialog } from "./ScheduleForm.tsx"

type Schedule = ScheduleList["schedules"][number]
type Verb = "pause" | "unpause" | "run" | "remove"

/** Tells a schedule something, and asks anew for all of them. */
const useTell = () => {
  const client = useQueryClient()
  const [isBusy, setBusy] = useState(false)
  const [problem, setProblem] = useState<unknown>()
  const tell = async (scheduleId: string, verb: Verb): Promise<boolean> => {
    setBusy(true)
    setProblem(undefined)
    try {
      await post(`${path("schedules", scheduleId)}/${verb}`)
      return true
    } catch (error) {
      setProblem(error)
      return false
    } finally {
      setBusy(false)
      void client.invalidateQueries({ queryKey: ["runs"] })
    }
  }
  return { tell, isBusy, problem }
}

const toneOfTick: { readonly [O in ShownSchedule["last"][number]["outcome"]]: Tone } = {
  started: "done",
  queued: "wait",
  skipped: "off",
  missed: "failed",
  refused: "failed",
}

export const Schedules = () => {
  const { place, change } = usePlace()
  const { data, error } = useQuery(Queries.at<ScheduleList>("/schedules", {}, "runs"))
  const { tell, isBusy, problem } = useTell()
  const [removing, setRemoving] = useState<string>()
  const [editing, setEditing] = useState<"new" | Schedule>()
  const chosen = data?.schedules.find(({ scheduleId }) => scheduleId === place.query.at)
  useEffect(() => {
    document.title = "Schedules · Smithers"
  }, [])
  return (
    <>
      <div className="head">
        <div className="bar">
          <h1>Schedules</h1>
          <span className="grow" />
          <button type="button" className="primary" onClick={() => setEditing("new")}>
            Add a schedule…
          </button>
        </div>
      </div>
      <div className="body stack">
        {error === null ? null : <Problem error={error} />}
        {problem === undefined ? null : <Problem error={problem} />}
        {data?.schedules.length === 0 ? (
          <Empty>No schedules. Add one, and a supervisor starts runs of a workflow by the clock.</Empty>
        ) : null}
        {data === undefined || data.schedules.length === 0 ? null : (
          <div className="wide">
            <table className="plain">
              <thead>
                <tr>
                  <th>schedule</th>
                  <th>when</th>
                  <th>next</th>
                  <th>workflow</th>
                  <th>last run</th>
                  <th>state</th>
                  <th>
                    <span className="hidden">Actions</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {data.schedules.map((schedule) => (
                  <Row
                    key={schedule.scheduleId}
                    {...{ schedule, isBusy }}
                    isChosen={schedule === chosen}
                    onChoose={() => change({ at: schedule === chosen ? undefined : schedule.scheduleId })}
                    onEdit={() => setEditing(schedule)}
                    onTell={(verb) => (verb === "remove" ? setRemoving(schedule.scheduleId) : void tell(schedule.scheduleId, verb))}
                  />
                ))}
              </tbody>
            </table>
          </div>
        )}
        {chosen === undefined ? null : <Shown scheduleId={chosen.scheduleId} />}
      </div>
      {editing === undefined ? null : (
        <ScheduleDialog
          given={editing === "new" ? undefined : editing}
          onClose={(scheduleId) => {
            setEditing(undefined)
            if (scheduleId !== undefined) change({ at: scheduleId })
          }}
        />
      )}
      {removing === undefined ? null : (
        <Dialog title="Remove the schedule" onClose={() => setRemoving(undefined)}>
          <div className="inside">
            <h2>Remove {removing}?</h2>
            <p>No run starts by it any more, and its queued ticks go with it. Its runs stay.</p>
            <div className="foot">
              <button type="button" onClick={() => setRemoving(undefined)}>
                Keep it
              </button>
              <button
                type="button"
                className="danger"
                disabled={isBusy}
                onClick={() => void tell(removing, "remove").then(() => setRemoving(undefined))}
              >
                Remove the schedule
              </button>
            </div>
          </div>
        </Dialog>
      )}
    </>
  )
}

const Row = ({
  schedule: { scheduleId, cron, tz, workflow, tick, isPaused, error, lastRunId, queued },
  isChosen,
  isBusy,
  onChoose,
  onEdit,
  onTell,
}: {
  readonly schedule: Schedule
  readonly isChosen: boolean
  readonly isBusy: boolean
  readonly onChoose: () => void
  readonly onEdit: () => void
  readonly onTell: (verb: Verb) => void
}) => (
  <tr>
    <td>
      <button type="button" className="plain" aria-expanded={isChosen} onClick={onChoose}>
        {isChosen ? "▾" : "▸"} {scheduleId}
      </button>
    </td>
    <td>
      <code>{cron}</code> <span className="soft">{tz}</span>
    </td>
    <td>{tick === null ? "–" : <Ago at={tick} />}</td>
    <td>{workflow}</td>
    <td>{lastRunId === null ? "–" : <Link href={runAddress(lastRunId)}>{lastRunId}</Link>}</td>
    <td>
      {isPaused ? (
        <Chip tone="off">paused</Chip>
      ) : error !== null ? (
        <Chip tone="failed">{error.name}</Chip>
      ) : (
        <Chip tone="active">on{queued.length > 0 ? `, ${queued.length} queued` : ""}</Chip>
      )}
    </td>
    <td>
      <div className="bar">
        <button type="button" disabled={isBusy} onClick={() => onTell("run")}>
          Run now
        </button>
        <button type="button" disabled={isBusy} onClick={() => onTell(isPaused ? "unpause" : "pause")}>
          {isPaused ? "Unpause" : "Pause"}
        </button>
        <button type="button" disabled={isBusy} onClick={onEdit}>
          Change…
        </button>
        <button type="button" className="danger" disabled={isBusy} onClick={() => onTell("remove")}>
          Remove…
        </button>
      </div>
    </td>
  </tr>
)

const Shown = ({ scheduleId }: { readonly scheduleId: string }) => {
  const { data, error } = useQuery(Queries.at<ShownSchedule>(path("schedules", scheduleId), {}, "runs"))
  if (data === undefined) return error === null ? <p className="soft">…</p> : <Problem error={error} />
  const { schedule, next, last, problem } = data
  return (
    <section className="card stack" aria-label={`Schedule ${scheduleId}`}>
      <h2>{scheduleId}</h2>
      {problem === null ? null : <Problem error={problem} />}
      {schedule.error === null ? null : <Problem error={`${schedule.error.name}: ${schedule.error.message}`} />}
      <dl className="facts">
        <dt>while a run is not over</dt>
        <dd>{schedule.overlap}</dd>
        <dt>tags</dt>
        <dd>{schedule.tags.length === 0 ? "none" : schedule.tags.join(", ")}</dd>
        <dt>next</dt>
        <dd>
          {next.length === 0
            ? "none"
            : next.map((at, index) => (
                <span key={at}>
                  {index === 0 ? "" : ", "}
                  <Clock at={at} />
                </span>
              ))}
        </dd>
      </dl>
      <h3>Input</h3>
      <Value value={schedule.input} label="Input" />
      <h3>Last ticks</h3>
      {last.length === 0 ? <p className="soft">none yet</p> : null}
      {last.length === 0 ? null : (
        <table className="plain">
          <tbody>
            {last.map(({ tick, outcome, runId, detail }) => (
              <tr key={tick}>
                <td>
                  <Clock at={tick} />
                </td>
                <td>
                  <Chip tone={toneOfTick[outcome]}>{outcome}</Chip>
                </td>
                <td>{runId === null ? "" : <Link href={runAddress(runId)}>{runId}</Link>}</td>
                <td className="soft">{detail}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}
