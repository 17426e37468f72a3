/** @jsxImportSource react */
/** The form of a schedule: a workflow of the project, when it starts, and the input that each run gets. */
import { useQuery, useQueryClient } from "@tanstack/react-query"
import { useState } from "react"
import type { Described, ScheduleList, WorkflowList } from "../api/Answers.ts"
import { path, post } from "../api/Client.ts"
import * as Queries from "../api/Queries.ts"
import { Dialog, Problem } from "../parts/Basics.tsx"
import { Form } from "../parts/Form.tsx"

type Schedule = ScheduleList["schedules"][number]

const overlaps = [
  ["skip", "leave the tick out"],
  ["queue", "start the next one afterwards"],
  ["cancel-other", "cancel it and start the next one"],
] as const satisfies ReadonlyArray<readonly [Schedule["overlap"], string]>

const duration = (ms: number): string => (ms % 60_000 === 0 ? `${ms / 60_000}m` : `${Math.ceil(ms / 1000)}s`)

/** Adds a schedule, or changes the one that is `given`: one of the same id takes its place. */
export const ScheduleDialog = ({
  given,
  onClose,
}: {
  readonly given: Schedule | undefined
  readonly onClose: (scheduleId?: string) => void
}) => {
  const client = useQueryClient()
  const project = useQuery(Queries.at<WorkflowList>("/workflows"))
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone
  const [id, setId] = useState(given?.scheduleId ?? "")
  const [cron, setCron] = useState(given?.cron ?? "0 9 * * 1-5")
  const [tz, setTz] = useState(given?.tz ?? here)
  const [overlap, setOverlap] = useState<Schedule["overlap"]>(given?.overlap ?? "skip")
  const [workflow, setWorkflow] = useState(given?.source ?? given?.workflow ?? "")
  const [isBusy, setBusy] = useState(false)
  const [problem, setProblem] = useState<unknown>()
  const described = useQuery({ ...Queries.at<Described>(path("workflows", workflow)), enabled: workflow !== "" })
  const save = async (input: unknown): Promise<void> => {
    setBusy(true)
    setProblem(undefined)
    try {
      const kept =
        given === undefined
          ? {}
          : { onExisting: "replace", tags: given.tags, catchUp: duration(given.catchUpMs), jitter: duration(given.jitterMs) }
      const body = { ...kept, workflow, cron, tz, overlap, input, ...(id === "" ? {} : { id }) }
      const { schedule } = await post<{ readonly schedule: Schedule }>("/schedules", body)
      await client.invalidateQueries({ queryKey: ["runs"] })
      onClose(schedule.scheduleId)
    } catch (error) {
      setProblem(error)
      setBusy(false)
    }
  }
  const leave = (
    <button type="button" onClick={() => onClose()}>
      Leave it
    </button>
  )
  return (
    <Dialog title={given === undefined ? "Add a schedule" : "Change the schedule"} onClose={() => onClose()}>
      <div className="inside form">
        <h2>{given === undefined ? "Add a schedule" : `Change ${given.scheduleId}`}</h2>
        <label className="field">
          Workflow
          <select value={workflow} disabled={given !== undefined} onChange={({ target }) => setWorkflow(target.value)}>
            <option value="">choose one</option>
            {given === undefined ? null : <option value={workflow}>{given.workflow}</option>}
            {project.data?.workflows.map(({ name }) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <label className="field">
          When, as cron
          <input required value={cron} spellCheck={false} onChange={({ target }) => setCron(target.value)} />
          <span className="hint">minute, hour, day, month, weekday; or @hourly, @daily, @weekly</span>
        </label>
        <label className="field">
          Time zone
          <input required value={tz} spellCheck={false} onChange={({ target }) => setTz(target.value)} />
        </label>
        <label className="field">
          While a run is not over
          <select
            value={overlap}
            onChange={({ target }) => setOverlap(overlaps.find(([name]) => name === target.value)?.[0] ?? "skip")}
          >
            {overlaps.map(([name, label]) => (
              <option key={name} value={name}>
                {label}
              </option>
            ))}
          </select>
        </label>
        {given === undefined ? (
          <label className="field">
            Id (optional)
            <input value={id} placeholder="that of the workflow" onChange={({ target }) => setId(target.value)} />
          </label>
        ) : null}
        {problem === undefined ? null : <Problem error={problem} />}
        {described.error === null ? null : <Problem error={described.error} />}
        {workflow !== "" && described.data === undefined && described.error === null ? (
          <p className="soft" role="status">
            Loading its form…
          </p>
        ) : null}
        {described.data === undefined ? null : (
          <>
            <h3>Input of its runs</h3>
            <Form
              key={workflow}
              schema={described.data.input ?? {}}
              {...(given === undefined ? {} : { initial: given.input })}
              submit={given === undefined ? "Add the schedule" : "Save the schedule"}
              isBusy={isBusy || cron === "" || tz === ""}
              onSubmit={(input) => void save(input)}
            >
              {leave}
            </Form>
          </>
        )}
        {described.data === undefined ? <div className="foot">{leave}</div> : null}
      </div>
    </Dialog>
  )
}
