/** @jsxImportSource react */
/** The page of a run: what it is, why it waits, its frames, its plan, its timeline, its events, and the node one has chosen. */
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query"
import { useCallback, useEffect, useMemo, useState } from "react"
import { Link } from "wouter"
import type * as Answers from "../api/Answers.ts"
import { watch } from "../api/Live.ts"
import * as Queries from "../api/Queries.ts"
import { useKeys } from "../app/Keyboard.ts"
import { useIsNarrow } from "../app/Now.ts"
import { usePlace } from "../app/Place.ts"
import { Ago, Empty, Problem, RunStatus, Tabs, Took } from "../parts/Basics.tsx"
import { Value } from "../parts/Value.tsx"
import * as Outline from "../plan/Outline.ts"
import { toneOfRun } from "../plan/Tone.ts"
import { format, joined, list, number, runAddress } from "../state/Url.ts"
import * as Times from "../text/Times.ts"
import * as Marks from "../travel/Marks.ts"
import { ForkDialog, RunActions, WhyActions } from "./Actions.tsx"
import { Compare } from "./Compare.tsx"
import { useInside } from "./children.ts"
import { Drawer } from "./Drawer.tsx"
import { Graph } from "./Graph.tsx"
import { Log } from "./Log.tsx"
import { Slider, useMarks } from "./Slider.tsx"
import { Timeline } from "./Timeline.tsx"
import { Tree } from "./Tree.tsx"

type TabName = "plan" | "timeline" | "events" | "values" | "costs" | "compare"
const tabs = [
  { name: "plan", label: "Plan" },
  { name: "timeline", label: "Timeline" },
  { name: "events", label: "Events" },
  { name: "values", label: "Input & output" },
  { name: "costs", label: "Costs" },
  { name: "compare", label: "Compare" },
] as const satisfies ReadonlyArray<{ readonly name: TabName; readonly label: string }>

const none: ReadonlyArray<never> = []

export const Run = ({ runId }: { readonly runId: string }) => {
  const { place, change } = usePlace()
  const isNarrow = useIsNarrow()
  const { query } = place
  const tab: TabName = tabs.find(({ name }) => name === query.tab)?.name ?? "plan"
  const overview = useQuery(Queries.run(runId))
  const seq = overview.data?.seq
  const marks = useMarks(runId, seq)
  const asked = number(query.frame)
  // A frame that the run has not got to is the present.
  const frame = asked !== undefined && (marks.length === 0 || asked < (marks.at(-1)?.frame ?? 0)) ? asked : undefined
  const mark = frame === undefined ? undefined : marks[Marks.indexAt(marks, frame)]
  const plan = useQuery({ ...Queries.plan(runId, frame), placeholderData: keepPreviousData })
  const details = useQuery({
    ...Queries.details(runId),
    enabled: tab === "timeline" || query.node !== undefined,
  })
  const state = useQuery({
    ...Queries.state(runId, frame ?? 0),
    enabled: frame !== undefined && query.node !== undefined,
    placeholderData: keepPreviousData,
  })
  const allWaits = useQuery({ ...Queries.waits(runId), enabled: tab === "timeline" || query.node !== undefined })
  const waits = allWaits.data ?? none
  // The frame before is likely to be the next one.
  const before = frame === undefined ? undefined : marks[Marks.indexAt(marks, frame) - 1]?.frame
  const client = useQueryClient()
  useEffect(() => {
    if (before === undefined || frame === undefined) return
    const timer = setTimeout(() => void client.prefetchQuery(Queries.plan(runId, before)), 50)
    return () => clearTimeout(timer)
  }, [client, runId, frame, before])
  const [isForking, setForking] = useState(false)
  // Of the run that one looks at every event is told at once.
  const isKnown = seq !== undefined
  // biome-ignore lint/correctness/useExhaustiveDependencies: the stream begins at the first event that is not known yet
  useEffect(() => {
    if (seq === undefined) return
    watch({ runId, seq })
    return () => watch(undefined)
  }, [runId, isKnown])

  const onFrame = useCallback(
    (next: number | undefined) => change({ frame: next === undefined ? undefined : String(next) }, { replace: true }),
    [change],
  )
  const onNode = useCallback(
    (nodeId: string, iteration: number, attempt?: number, of?: string) =>
      change({
        node: nodeId,
        in: of,
        iteration: iteration === 0 ? undefined : String(iteration),
        attempt: attempt === undefined ? undefined : String(attempt),
        panel: undefined,
        at: undefined,
      }),
    [change],
  )

  useEffect(() => {
    document.title = `${runId} · Smithers`
  }, [runId])
  const isTree = query.as === undefined ? isNarrow : query.as === "tree"
  useKeys(["run"], { asTree: () => change({ as: isTree ? "graph" : "tree" }) })

  if (overview.data === undefined) {
    return (
      <div className="head">
        <h1>{runId}</h1>
        {overview.error === null ? <p className="soft">…</p> : <Problem error={overview.error} />}
      </div>
    )
  }
  const { run } = overview.data
  return (
    <>
      <div className="head">
        <div className="bar">
          <Link href="/runs">Runs</Link>
          <span className="soft">/</span>
          <h1 className="cut">{runId}</h1>
          <RunStatus status={mark === undefined ? run.status : (state.data?.status ?? run.status)} />
          {run.isPaused && run.status !== "paused" ? <span className="chip off">paused</span> : null}
          <Link href={format({ view: "workflow", id: run.workflow, query: {} })}>{run.workflow}</Link>
          {run.tags.map((tag) => (
            <Link key={tag} className="tag" href={format({ view: "runs", query: { tag } })}>
              {tag}
            </Link>
          ))}
          <span className="soft">
            began <Ago at={run.createdAt} />, {run.finishedAt === null ? "for " : "took "}
            <Took from={run.createdAt} to={run.finishedAt} />
          </span>
          <span className="grow" />
          <RunActions overview={overview.data} onFork={() => setForking(true)} />
        </div>
        <Lineage overview={overview.data} />
        {frame === undefined ? <WhyBar runId={runId} onNode={onNode} tone={toneOfRun(run.status)} /> : null}
        <Slider marks={marks} frame={frame} onFrame={onFrame} onFork={() => setForking(true)} onNode={onNode} />
        <div className="bar">
          <Tabs
            tabs={tabs}
            chosen={tab}
            label="Parts of the run"
            onChoose={(name) => change({ tab: name === "plan" ? undefined : name })}
          />
          <span className="grow" />
          {tab === "plan" ? (
            <Tabs tabs={views} chosen={isTree ? "tree" : "graph"} label="Way to show the plan" onChoose={(as) => change({ as })} />
          ) : null}
        </div>
      </div>
      <div className={`split ${query.node === undefined ? "" : "two"}`}>
        <div className="pane" role="tabpanel" aria-label={tab}>
          {tab === "plan" ? <PlanPane {...{ plan: plan.data, error: plan.error, isTree, mark, onNode }} /> : null}
          {tab === "timeline" ? (
            details.data === undefined ? (
              details.error === null ? (
                <Empty>…</Empty>
              ) : (
                <Problem error={details.error} />
              )
            ) : (
              <Timeline
                attempts={details.data.attempts}
                waits={waits}
                until={mark?.at ?? run.finishedAt ?? undefined}
                zoom={zoomOf(query.from, query.to)}
                onZoom={(zoom) =>
                  change({
                    from: zoom === undefined ? undefined : String(zoom[0]),
                    to: zoom === undefined ? undefined : String(zoom[1]),
                  })
                }
                selected={query.node}
                onSelect={onNode}
              />
            )
          ) : null}
          {tab === "events" ? <Log {...{ runId, frame, onNode, onFrame }} /> : null}
          {tab === "values" ? <Values overview={overview.data} /> : null}
          {tab === "costs" ? <RunCosts runId={runId} /> : null}
          {tab === "compare" ? <Compare {...{ runId, frame, onNode }} origin={run.forkedFrom?.runId} /> : null}
        </div>
        {query.node === undefined ? null : query.in !== undefined && query.in !== runId ? (
          <ChildDrawer key={`${query.in} ${query.node}`} runId={query.in} nodeId={query.node} at={mark?.at} />
        ) : (
          <Drawer
            key={`${runId} ${query.node}`}
            runId={runId}
            nodeId={query.node}
            kind={undefined}
            details={details.data}
            nodes={frame === undefined ? (details.data?.nodes ?? none) : (state.data?.nodes ?? none)}
            waits={frame === undefined ? waits : (state.data?.waits ?? none)}
            frame={frame}
            until={mark?.at}
          />
        )}
      </div>
      {isForking ? <ForkDialog runId={runId} frame={frame} onClose={() => setForking(false)} /> : null}
    </>
  )
}

/** The drawer of a node of a child run that is open in the plan; `at` is the time of the frame that is shown. */
const ChildDrawer = ({
  runId,
  nodeId,
  at,
}: {
  readonly runId: string
  readonly nodeId: string
  readonly at: number | undefined
}) => {
  const details = useQuery(Queries.details(runId))
  const waits = useQuery(Queries.waits(runId))
  const state = useQuery({ ...Queries.stateAt(runId, at ?? 0), enabled: at !== undefined, placeholderData: keepPreviousData })
  return (
    <Drawer
      {...{ runId, nodeId }}
      isOfChild
      kind={undefined}
      details={details.data}
      nodes={at === undefined ? (details.data?.nodes ?? none) : (state.data?.nodes ?? none)}
      waits={at === undefined ? (waits.data ?? none) : (state.data?.waits ?? none)}
      frame={at === undefined ? undefined : (state.data?.frame ?? 0)}
      until={at}
    />
  )
}

const views = [
  { name: "graph", label: "Graph" },
  { name: "tree", label: "Tree" },
] as const

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const zoomOf = (from: string | undefined, to: string | undefined): readonly [number, number] | undefined => {
  const [a, b] = [number(from), number(to)]
  return a !== undefined && b !== undefined && b > a ? [a, b] : undefined
}

const PlanPane = ({
  plan,
  error,
  isTree,
  mark,
  onNode,
}: {
  readonly plan: Answers.Plan | undefined
  readonly error: unknown
  readonly isTree: boolean
  readonly mark: Marks.Mark | undefined
  readonly onNode: (nodeId: string, iteration: number, attempt?: number, of?: string) => void
}) => {
  const { place, change } = usePlace()
  const { node: nodeId, in: of, open } = place.query
  const opened = useMemo(() => new Set(list(open).map(decoded)), [open])
  const inside = useInside(plan?.nodes, opened, mark?.at)
  const outline = useMemo(() => (plan === undefined ? undefined : Outline.make(plan.nodes, opened, inside)), [plan, opened, inside])
  const node = nodeId === undefined ? undefined : Outline.keyOf(nodeId, of)
  const onSelect = useCallback(
    (key: string | undefined) => {
      const item = key === undefined ? undefined : outline?.items[outline.positions.get(key) ?? -1]
      if (item === undefined || item.node.id === null) return
      onNode(item.node.id, -1, undefined, item.runId)
      change({ iteration: undefined })
    },
    [onNode, change, outline],
  )
  const onOpen = useCallback(
    (key: string) => {
      const name = encodeURIComponent(key)
      const all = list(open)
      change({ open: joined(all.includes(name) ? all.filter((one) => one !== name) : [...all, name]) })
    },
    [change, open],
  )
  if (outline === undefined) return error === null ? <Empty>…</Empty> : <Problem error={error} />
  if (outline.items.length === 0) return <Empty>The plan is empty.</Empty>
  const changed = mark === undefined ? 0 : mark.added.length + mark.removed.length + mark.changed.length
  return (
    <>
      {opened.size === 0 ? null : (
        <div className="bar" style={{ padding: "4px 16px" }}>
          <button type="button" onClick={() => change({ open: undefined })}>
            Fold what was opened
          </button>
        </div>
      )}
      {mark === undefined || changed === 0 ? null : (
        <p className="past" style={{ margin: "6px 16px" }}>
          {(
            [
              ["new", mark.added],
              ["gone", mark.removed],
              ["changed", mark.changed],
            ] as const
          )
            .filter(([, ids]) => ids.length > 0)
            .map(([word, ids]) => `${word}: ${ids.slice(0, 6).join(", ")}${ids.length > 6 ? " …" : ""}`)
            .join(" · ")}
        </p>
      )}
      {isTree ? (
        <Tree {...{ outline, onSelect, onOpen }} selected={node} />
      ) : (
        <Graph {...{ outline, onSelect, onOpen }} selected={node} />
      )}
    </>
  )
}

const WhyBar = ({
  runId,
  tone,
  onNode,
}: {
  readonly runId: string
  readonly tone: string
  readonly onNode: (nodeId: string, iteration: number) => void
}) => {
  const { data } = useQuery(Queries.why(runId))
  if (data === undefined) return null
  return (
    <div className={`why ${tone}`} role="status" data-why>
      <p className="grow">{data.sentence}</p>
      <WhyActions runId={runId} actions={data.actions} onNode={onNode} />
    </div>
  )
}

const Lineage = ({ overview }: { readonly overview: Answers.Overview }) => {
  const { parent, forkedFrom, runId } = overview.run
  const { forks } = overview
  const isAlone = parent === null && forkedFrom === null && overview.run.children === 0 && forks.length === 0
  if (isAlone && overview.run.continuedAs === undefined) return null
  return (
    <div className="bar soft">
      {parent === null ? null : (
        <span>
          started by <Link href={runAddress(parent.runId, { node: parent.nodeId })}>{parent.runId}</Link>
        </span>
      )}
      {forkedFrom === null ? null : (
        <span>
          forked from <Link href={runAddress(forkedFrom.runId, { frame: String(forkedFrom.frame) })}>{forkedFrom.runId}</Link> at
          frame {forkedFrom.frame}
        </span>
      )}
      {overview.run.children > 0 ? (
        <Link href={format({ view: "runs", query: { parent: runId } })}>{Times.plural(overview.run.children, "child run")}</Link>
      ) : null}
      {overview.run.continuedAs === undefined ? null : (
        <span>
          goes on as <Link href={runAddress(overview.run.continuedAs)}>{overview.run.continuedAs}</Link>
        </span>
      )}
      {forks.length > 0 ? (
        <Link href={format({ view: "runs", query: { forkedFrom: runId } })}>{Times.plural(forks.length, "fork")}</Link>
      ) : null}
    </div>
  )
}

const Values = ({ overview }: { readonly overview: Answers.Overview }) => {
  const { failure } = overview
  return (
    <div className="body stack">
      {failure === null ? null : (
        <section className="stack">
          <h2>Failure</h2>
          <Value value={failure} label="Failure" />
        </section>
      )}
      <section className="stack">
        <h2>Input</h2>
        <Value value={overview.input} label="Input" />
      </section>
      <section className="stack">
        <h2>Output</h2>
        <Value value={overview.output} label="Output" />
      </section>
      <section className="stack">
        <h2>The run</h2>
        <Value value={overview.run} label="The run" />
      </section>
    </div>
  )
}

const RunCosts = ({ runId }: { readonly runId: string }) => {
  const { data, error } = useQuery(Queries.at<Answers.RunCosts>(`/runs/${encodeURIComponent(runId)}/costs`, {}, "runs"))
  if (error !== null) return <Problem error={error} />
  return <div className="body stack">{data === undefined ? <Empty>…</Empty> : <CostTable costs={data} />}</div>
}

/** Spending by step, agent and model. */
const CostTable = ({ costs: { usage, budgets } }: { readonly costs: Answers.RunCosts }) => {
  const models = usage.filter(({ kind }) => kind === "model")
  if (models.length === 0) return <Empty>No model was asked.</Empty>
  return (
    <>
      <table className="plain">
        <thead>
          <tr>
            <th>step</th>
            <th>agent</th>
            <th>model</th>
            <th className="number">calls</th>
            <th className="number">in</th>
            <th className="number">cached</th>
            <th className="number">out</th>
            <th className="number">cost</th>
          </tr>
        </thead>
        <tbody>
          {models.map((row) => (
            <tr key={JSON.stringify([row.nodeId, row.agent, row.name])}>
              <td>{row.nodeId}</td>
              <td>{row.agent}</td>
              <td>{row.name ?? "not named"}</td>
              <td className="number">{Times.count(row.calls)}</td>
              <td className="number">{Times.count(row.inputTokens)}</td>
              <td className="number">{Times.count(row.cachedInputTokens)}</td>
              <td className="number">{Times.count(row.outputTokens)}</td>
              <td className="number">
                {row.unpriced === row.calls ? "no price" : Times.dollars(row.cost)}
                {row.unknown > 0 ? `, ${Times.plural(row.unknown, "call")} not known` : ""}
              </td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <td colSpan={7}>together</td>
            <td className="number">{Times.dollars(models.reduce((sum, { cost }) => sum + cost, 0))}</td>
          </tr>
        </tfoot>
      </table>
      {budgets.map((budget) => (
        <section key={budget.key} className="stack">
          <h2>Budget {budget.name}</h2>
          <Value
            value={{ limits: budget.limits, spent: budget.spent, reserved: budget.reserved }}
            label={`Budget ${budget.name}`}
          />
        </section>
      ))}
    </>
  )
}
