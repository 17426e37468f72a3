/** @jsxImportSource react */
/** Workflows, schedules, costs and the database. */
import { useQuery, useQueryClient } from "@tanstack/react-query"
import { useState } from "react"
import { Link } from "wouter"
import { path, post, remove } from "../api/Client.ts"
import * as Queries from "../api/Queries.ts"
import { usePlace } from "../app/Place.ts"
import { Ago, Empty, Problem } from "../parts/Basics.tsx"
import { Form } from "../parts/Form.tsx"
import { Value } from "../parts/Value.tsx"
import * as Outline from "../plan/Outline.ts"
import { Tree } from "../run/Tree.tsx"
import { format } from "../state/Url.ts"
import * as Times from "../text/Times.ts"

type Json = { readonly [name: string]: unknown }
const isRecord = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

/** The list in an answer: itself, or the field that holds it. */
const listIn = (data: unknown, name: string): ReadonlyArray<Json> => {
  const found = isRecord(data) ? data[name] : data
  return Array.isArray(found) ? found.filter(isRecord) : []
}
const text = (value: unknown): string => (typeof value === "string" ? value : typeof value === "number" ? String(value) : "")

export const Workflows = () => {
  const { data, error } = useQuery(Queries.at<unknown>("/workflows"))
  const workflows = listIn(data, "workflows")
  return (
    <>
      <div className="head">
        <h1>Workflows</h1>
      </div>
      <div className="body">
        {error === null ? null : <Problem error={error} />}
        {data !== undefined && workflows.length === 0 ? <Empty>No workflow was found in this project.</Empty> : null}
        {workflows.length === 0 ? null : (
          <table className="plain">
            <thead>
              <tr>
                <th>name</th>
                <th>file</th>
                <th>about</th>
              </tr>
            </thead>
            <tbody>
              {workflows.map((workflow) => {
                const name = text(workflow.name) || text(workflow.file)
                return (
                  <tr key={name}>
                    <td>
                      <Link href={format({ view: "workflow", id: name, query: {} })}>{name}</Link>
                    </td>
                    <td className="soft">{text(workflow.file) || text(workflow.source)}</td>
                    <td>
                      {isRecord(workflow.error)
                        ? text(workflow.error.message)
                        : text(workflow.description) || text(workflow.problem)}
                    </td>
                  </tr>
                )
              })}
            </tbody>
          </table>
        )}
      </div>
    </>
  )
}

export const Workflow = ({ name }: { readonly name: string }) => {
  const { go } = usePlace()
  const { data, error } = useQuery(Queries.at<unknown>(path("workflows", name)))
  const [isBusy, setBusy] = useState(false)
  const [problem, setProblem] = useState<unknown>()
  const found = isRecord(data) ? data : {}
  const schema = found.input ?? found.inputSchema ?? found.schema
  const nodes = found.plan ?? found.nodes ?? found.roots
  const plan = isRecord(nodes) ? (nodes.nodes ?? nodes.roots) : nodes
  const start = async (input: unknown): Promise<void> => {
    setBusy(true)
    setProblem(undefined)
    try {
      const { runId } = await post<{ readonly runId: string }>("/runs", { workflow: name, input })
      go({ view: "run", id: runId, query: {} })
    } catch (error) {
      setProblem(error)
    } finally {
      setBusy(false)
    }
  }
  return (
    <>
      <div className="head">
        <div className="bar">
          <Link href="/workflows">Workflows</Link>
          <span className="soft">/</span>
          <h1>{name}</h1>
          <span className="soft">{text(found.file) || text(found.source)}</span>
          <span className="grow" />
          <Link href={format({ view: "runs", query: { workflow: name } })}>its runs</Link>
        </div>
      </div>
      <div className="body stack">
        {error === null ? null : <Problem error={error} />}
        {data === undefined ? null : (
          <section className="card stack">
            <h2>Start a run</h2>
            {problem === undefined ? null : <Problem error={problem} />}
            <Form schema={schema} submit="Start" isBusy={isBusy} onSubmit={(input) => void start(input)} />
          </section>
        )}
        {Array.isArray(plan) && plan.length > 0 ? (
          <section className="stack">
            <h2>Plan</h2>
            <div className="card" style={{ height: 320, display: "flex" }}>
              <Preview plan={plan as ReadonlyArray<Outline.PlanNode>} />
            </div>
          </section>
        ) : null}
      </div>
    </>
  )
}

const Preview = ({ plan }: { readonly plan: ReadonlyArray<Outline.PlanNode> }) => {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set())
  return (
    <Tree
      outline={Outline.make(plan, open)}
      selected={undefined}
      onSelect={() => undefined}
      onOpen={(key) => setOpen(new Set([...open, key]))}
    />
  )
}

export const Schedules = () => {
  const client = useQueryClient()
  const { data, error } = useQuery(Queries.at<unknown>("/schedules", {}, "runs"))
  const [problem, setProblem] = useState<unknown>()
  const schedules = listIn(data, "schedules")
  const tell = async (work: Promise<unknown>): Promise<void> => {
    setProblem(undefined)
    try {
      await work
    } catch (error) {
      setProblem(error)
    }
    await client.invalidateQueries({ queryKey: ["runs"] })
  }
  return (
    <>
      <div className="head">
        <h1>Schedules</h1>
      </div>
      <div className="body stack">
        {error === null ? null : <Problem error={error} />}
        {problem === undefined ? null : <Problem error={problem} />}
        {data !== undefined && schedules.length === 0 ? <Empty>No schedules.</Empty> : null}
        {schedules.length === 0 ? null : (
          <table className="plain">
            <thead>
              <tr>
                <th>name</th>
                <th>when</th>
                <th>workflow</th>
                <th>next</th>
                <th>state</th>
                <th>
                  <span className="hidden">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {schedules.map((schedule) => {
                const name = text(schedule.name) || text(schedule.id)
                const next = [schedule.nextAt, schedule.next, schedule.dueAt].find((one) => typeof one === "number")
                const isPaused = schedule.isPaused === true || typeof schedule.pausedAt === "number"
                return (
                  <tr key={name}>
                    <td>{name}</td>
                    <td>
                      <code>{text(schedule.cron) || text(schedule.every) || text(schedule.expression)}</code>{" "}
                      <span className="soft">{text(schedule.timeZone) || text(schedule.zone)}</span>
                    </td>
                    <td>{text(schedule.workflow) || text(schedule.source)}</td>
                    <td>{typeof next === "number" ? <Ago at={next} /> : "–"}</td>
                    <td>{isPaused ? "paused" : "on"}</td>
                    <td>
                      <button
                        type="button"
                        onClick={() => void tell(post(`${path("schedules", name)}/${isPaused ? "unpause" : "pause"}`))}
                      >
                        {isPaused ? "Unpause" : "Pause"}
                      </button>{" "}
                      <button type="button" className="danger" onClick={() => void tell(remove(path("schedules", name)))}>
                        Remove
                      </button>
                    </td>
                  </tr>
                )
              })}
            </tbody>
          </table>
        )}
      </div>
    </>
  )
}

export const Costs = () => {
  const { place, change } = usePlace()
  const by = place.query.by === "workflow" ? "workflow" : "day"
  const { data, error } = useQuery(Queries.at<unknown>("/costs", { by }, "runs"))
  const found = isRecord(data) ? (data.costs ?? data.rows ?? data.spending) : data
  const rows = (Array.isArray(found) ? found.filter(isRecord) : []).map((row) => ({
    name: text(row.day) || text(row.workflow) || text(row.key) || text(row.name),
    cost: Number(row.cost ?? 0),
    calls: Number(row.calls ?? 0),
    tokens: Number(row.tokens ?? 0) || Number(row.inputTokens ?? 0) + Number(row.outputTokens ?? 0),
    unpriced: Number(row.unpriced ?? 0),
  }))
  const most = rows.reduce((sum, { cost }) => Math.max(sum, cost), 0)
  return (
    <>
      <div className="head">
        <div className="bar">
          <h1>Costs</h1>
          <label className="soft">
            by{" "}
            <select value={by} onChange={({ target }) => change({ by: target.value === "day" ? undefined : target.value })}>
              <option value="day">day</option>
              <option value="workflow">workflow</option>
            </select>
          </label>
        </div>
      </div>
      <div className="body stack">
        {error === null ? null : <Problem error={error} />}
        {data !== undefined && rows.length === 0 ? <Empty>No model was asked yet.</Empty> : null}
        {rows.length === 0 ? null : (
          <>
            {by === "day" && most > 0 ? (
              <div className="bars" aria-hidden>
                {rows
                  .toSorted((left, right) => left.name.localeCompare(right.name))
                  .map(({ name, cost }) => (
                    <div key={name} title={`${name}: ${Times.dollars(cost)}`} style={{ height: `${(100 * cost) / most}%` }} />
                  ))}
              </div>
            ) : null}
            <table className="plain">
              <thead>
                <tr>
                  <th>{by}</th>
                  <th className="number">calls</th>
                  <th className="number">tokens</th>
                  <th className="number">cost</th>
                </tr>
              </thead>
              <tbody>
                {rows.map(({ name, calls, tokens, cost, unpriced }) => (
                  <tr key={name}>
                    <td>
                      {by === "workflow" ? <Link href={format({ view: "runs", query: { workflow: name } })}>{name}</Link> : name}
                    </td>
                    <td className="number">{Times.count(calls)}</td>
                    <td className="number">{Times.count(tokens)}</td>
                    <td className="number">
                      {Times.dollars(cost)}
                      {unpriced > 0 ? ` + ${Times.plural(unpriced, "call")} without a price` : ""}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </>
        )}
      </div>
    </>
  )
}

export const Database = () => {
  const { data, error } = useQuery(Queries.at<unknown>("/database"))
  const fields = isRecord(data) ? Object.entries(data) : []
  return (
    <>
      <div className="head">
        <h1>Database</h1>
      </div>
      <div className="body stack">
        {error === null ? null : <Problem error={error} />}
        <dl className="facts">
          {fields.map(([name, value]) => (
            <div key={name} style={{ display: "contents" }}>
              <dt>{name.replace(/([a-z])([A-Z])/g, (_, before: string, after: string) => `${before} ${after.toLowerCase()}`)}</dt>
              <dd>
                {typeof value === "number" && /size|bytes/i.test(name) ? (
                  Times.bytes(value)
                ) : isRecord(value) || Array.isArray(value) ? (
                  <Value value={value} label={name} />
                ) : (
                  String(value)
                )}
              </dd>
            </div>
          ))}
        </dl>
      </div>
    </>
  )
}
