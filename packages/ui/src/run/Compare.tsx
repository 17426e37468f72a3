/** @jsxImportSource react */
/** Two runs, or two frames of one, beside one another: the plan, the nodes, input and output. */
import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import type { NodeDifference } from "../api/Answers.ts"
import * as Queries from "../api/Queries.ts"
import { usePlace } from "../app/Place.ts"
import { Problem } from "../parts/Basics.tsx"
import { Changes, TextDiff, Value } from "../parts/Value.tsx"
import * as Times from "../text/Times.ts"

/** Most nodes whose differences are listed. */
const mostNodes = 200

/** Most files that are listed; the patch has them all. */
const mostFiles = 200

/** Files that differ between two snapshots, with the patch. */
const FileChanges = ({ files: { files, patch, isTruncated, root } }: { readonly files: NonNullable<NodeDifference["files"]> }) => (
  <>
    <p className="soft">
      {Times.plural(files.length, "file")} below {root}
    </p>
    <ul aria-label="Files that differ">
      {files.slice(0, mostFiles).map(({ path, change, previousPath, added, removed }) => (
        <li key={path}>
          <code>{previousPath === undefined ? path : `${previousPath} → ${path}`}</code>{" "}
          <span className="soft">
            {change}
            {added === undefined ? "" : ` (+${added} −${removed ?? 0})`}
          </span>
        </li>
      ))}
    </ul>
    {files.length > mostFiles ? <p className="soft">… and {files.length - mostFiles} more</p> : null}
    <Value value={patch} label="Patch" />
    {isTruncated ? <p className="soft">The patch is cut: git shows the rest of it.</p> : null}
  </>
)

/** Differences of a node: its output, error and files, and the conversations of its agents. */
export const NodeChanges = ({
  output,
  before,
  after,
  files,
}: Pick<NodeDifference, "output" | "before" | "after"> & Partial<Pick<NodeDifference, "files">>) => (
  <>
    <h3>Output</h3>
    <Changes changes={output} />
    {(before?.error ?? "") === (after?.error ?? "") ? null : (
      <>
        <h3>Error</h3>
        <TextDiff before={before?.error ?? ""} after={after?.error ?? ""} label="Error" />
      </>
    )}
    {(["prompts", "replies"] as const).map((part) => {
      const [was, is] = [(before?.turns[part] ?? []).join("\n\n"), (after?.turns[part] ?? []).join("\n\n")]
      return was === "" && is === "" ? null : (
        <section key={part} className="stack">
          <h3>{part === "prompts" ? "Prompts" : "Replies"}</h3>
          <TextDiff before={was} after={is} label={part} />
        </section>
      )
    })}
    {files === undefined ? null : (
      <section className="stack">
        <h3>Files</h3>
        {files.files.length === 0 ? <p className="soft">The same.</p> : <FileChanges files={files} />}
      </section>
    )}
  </>
)

const nameOf = (runId: string, frame: number | undefined): string => (frame === undefined ? runId : `${runId}@${frame}`)

export const Compare = ({
  runId,
  frame,
  origin,
  onNode,
}: {
  readonly runId: string
  readonly frame: number | undefined
  /** The run that it was forked from. */
  readonly origin: string | undefined
  readonly onNode: (nodeId: string, iteration: number) => void
}) => {
  const { place, change } = usePlace()
  const [text, setText] = useState(place.query.against ?? "")
  // A frame is compared with now, and a fork with its original.
  const other = place.query.against ?? (frame === undefined ? origin : runId)
  const [before, after] =
    place.query.against === undefined && frame !== undefined ? [nameOf(runId, frame), runId] : [other, nameOf(runId, frame)]
  const { data, error } = useQuery({ ...Queries.diff(before ?? "", after), enabled: before !== undefined })
  return (
    <div className="body stack">
      <form
        className="bar"
        onSubmit={(event) => {
          event.preventDefault()
          change({ against: text.trim() || undefined })
        }}
      >
        <label className="soft">
          Compare {after} with{" "}
          <input value={text} placeholder={before ?? "run, or run@frame"} onChange={({ target }) => setText(target.value)} />
        </label>
        <button type="submit">Compare</button>
      </form>
      {error === null ? null : <Problem error={error} />}
      {data === undefined ? null : (
        <>
          <p>
            <strong>{before}</strong> ({data.before.status}) → <strong>{after}</strong> ({data.after.status}):{" "}
            {Times.plural(data.nodes.length, "node")} differ{data.nodes.length === 1 ? "s" : ""}
          </p>
          {(["added", "removed", "changed"] as const).map((fate) =>
            data.plan[fate].length === 0 ? null : (
              <p key={fate}>
                <strong>
                  {fate === "added" ? "New in the plan" : fate === "removed" ? "Gone from the plan" : "Changed in the plan"}:
                </strong>{" "}
                {data.plan[fate].slice(0, 30).join(", ")}
                {data.plan[fate].length > 30 ? ` and ${data.plan[fate].length - 30} more` : ""}
              </p>
            ),
          )}
          {(["input", "output"] as const).map((part) =>
            data[part].length === 0 ? null : (
              <section key={part} className="stack">
                <h2>{part === "input" ? "Input" : "Output"}</h2>
                <Changes changes={data[part]} />
              </section>
            ),
          )}
          {data.files === undefined || data.files.files.length === 0 ? null : (
            <section className="stack">
              <h2>Files</h2>
              <FileChanges files={data.files} />
            </section>
          )}
          {data.nodes.slice(0, mostNodes).map((node) => (
            <details key={`${node.nodeId} ${node.iteration}`} className="card" open={data.nodes.length <= 6}>
              <summary>
                <strong>
                  {node.nodeId}
                  {node.iteration > 0 ? ` #${node.iteration}` : ""}
                </strong>{" "}
                <span className="soft">
                  {node.before?.status ?? "not there"} → {node.after?.status ?? "not there"}
                </span>
              </summary>
              <div className="stack">
                <NodeChanges {...node} />
                <div>
                  <button type="button" onClick={() => onNode(node.nodeId, node.iteration)}>
                    Show the node
                  </button>
                </div>
              </div>
            </details>
          ))}
          {data.nodes.length > mostNodes ? <p className="soft">… and {data.nodes.length - mostNodes} more</p> : null}
        </>
      )}
    </div>
  )
}
