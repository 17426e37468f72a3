/** @jsxImportSource react */
/** Workflows, costs and the database. */
import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { Link } from "wouter"
import type { AllCosts, DatabaseInfo, Described, Started, WorkflowList } from "../api/Answers.ts"
import { path, post } from "../api/Client.ts"
import * as Queries from "../api/Queries.ts"
import { usePlace } from "../app/Place.ts"
import { Chip, Empty, Problem } from "../parts/Basics.tsx"
import { Form } from "../parts/Form.tsx"
import * as Outline from "../plan/Outline.ts"
import { Tree } from "../run/Tree.tsx"
import { format } from "../state/Url.ts"
import * as Times from "../text/Times.ts"

/** A path from the root of the project on, where it is in there. */
const within = (root: string | undefined, path: string): string =>
  root !== undefined && path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path

export const Workflows = () => {
  const { data, error } = useQuery(Queries.at<WorkflowList>("/workflows"))
  return (
    <>
      <div className="head">
        <div className="bar">
          <h1>Workflows</h1>
          <span className="soft cut">{data?.root}</span>
        </div>
      </div>
      <div className="body">
        {error === null ? null : <Problem error={error} />}
        {data?.workflows.length === 0 ? (
          <Empty>There is no workflow in this project: neither in .smithers/workflows nor in workflows.</Empty>
        ) : null}
        {data === undefined || data.workflows.length === 0 ? null : (
          <table className="plain">
            <thead>
              <tr>
                <th>name</th>
                <th>file</th>
              </tr>
            </thead>
            <tbody>
              {data.workflows.map(({ name, path }) => (
                <tr key={name}>
                  <td>
                    <Link href={format({ view: "workflow", id: name, query: {} })}>{name}</Link>
                  </td>
                  <td className="soft">{within(data.root, path)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </div>
    </>
  )
}

export const Workflow = ({ name }: { readonly name: string }) => {
  const { go } = usePlace()
  const { data, error } = useQuery(Queries.at<Described>(path("workflows", name)))
  const project = useQuery(Queries.at<WorkflowList>("/workflows"))
  const [isBusy, setBusy] = useState(false)
  const [problem, setProblem] = useState<unknown>()
  const start = async (input: unknown): Promise<void> => {
    setBusy(true)
    setProblem(undefined)
    try {
      const { runId } = await post<Started>("/runs", { workflow: name, input })
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
          <span className="soft cut">{data === undefined ? "" : within(project.data?.root, data.file)}</span>
          <span className="grow" />
          <Link href={format({ view: "runs", query: { workflow: data?.workflow ?? name } })}>its runs</Link>
        </div>
      </div>
      <div className="body stack">
        {error === null ? null : <Problem error={error} />}
        {data === undefined && error === null ? <Empty>Loading its file…</Empty> : null}
        {data === undefined ? null : (
          <section className="card stack">
            <h2>Start a run</h2>
            {problem === undefined ? null : <Problem error={problem} />}
            <Form schema={data.input ?? {}} submit="Start" isBusy={isBusy} onSubmit={(input) => void start(input)} />
          </section>
        )}
        {data?.problem == null ? null : <p className="soft">Its plan is not known before it runs: {data.problem}</p>}
        {data?.plan != null && data.plan.length > 0 ? (
          <section className="stack">
            <h2>Plan</h2>
            <div className="card" style={{ height: 320, display: "flex" }}>
              <Preview plan={data.plan} />
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

export const Costs = () => {
  const { place, change } = usePlace()
  const by = place.query.by === "workflow" ? "workflow" : "day"
  const { data, error } = useQuery(Queries.at<AllCosts>("/costs", { by }, "runs"))
  const rows = data?.rows ?? []
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
  const { data, error } = useQuery(Queries.at<DatabaseInfo>("/database"))
  return (
    <>
      <div className="head">
        <h1>Database</h1>
      </div>
      <div className="body stack">
        {error === null ? null : <Problem error={error} />}
        {data === undefined ? null : (
          <>
            {data.problems.length === 0 ? (
              <p>
                <Chip tone="done">no problem was found</Chip>
              </p>
            ) : (
              <ul className="problem" aria-label="Problems">
                {data.problems.map((problem) => (
                  <li key={problem}>{problem}</li>
                ))}
              </ul>
            )}
            <dl className="facts">
              <dt>file</dt>
              <dd>{data.path}</dd>
              <dt>size</dt>
              <dd>{Times.bytes(data.bytes)}</dd>
              <dt>runs</dt>
              <dd>{Times.count(data.runs)}</dd>
              <dt>layout</dt>
              <dd>{data.layout}</dd>
              <dt>SQLite</dt>
              <dd>{data.sqlite}</dd>
            </dl>
          </>
        )}
      </div>
    </>
  )
}
