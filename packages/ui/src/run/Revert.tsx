/** @jsxImportSource react */
/** Takes a run back to before an attempt of a node: what that would mean first, and only then a press that does it. */
import { useEffect, useState } from "react"
import type { Reverted } from "../api/Answers.ts"
import { path, post } from "../api/Client.ts"
import { Dialog, Problem } from "../parts/Basics.tsx"
import { Value } from "../parts/Value.tsx"
import { useTell } from "./Actions.tsx"

/** The attempt to go back to before. */
interface Back {
  readonly node: string
  readonly iteration: number
  readonly attempt?: number
}

const groups = [
  ["resets", "Runs again"],
  ["restored", "Comes back as it was"],
] as const

export const RevertDialog = ({
  runId,
  back,
  onClose,
}: {
  readonly runId: string
  readonly back: Back
  readonly onClose: () => void
}) => {
  const { tell, isBusy, problem } = useTell(runId)
  const [preview, setPreview] = useState<Reverted>()
  const [done, setDone] = useState<Reverted>()
  const [isUndone, setUndone] = useState(false)
  const [files, setFiles] = useState(true)
  const [unbegun, setUnbegun] = useState<unknown>()
  const wanted = { ...back, ...(files ? {} : { files: false }) }
  // biome-ignore lint/correctness/useExhaustiveDependencies: a preview for each choice
  useEffect(() => {
    let isGone = false
    setPreview(undefined)
    tell<Reverted>("revert", { ...wanted, dryRun: true }).then((found) => isGone || setPreview(found))
    return () => {
      isGone = true
    }
  }, [runId, files])
  const revert = async (): Promise<void> => setDone(await tell<Reverted>("revert", wanted))
  const undo = async (): Promise<void> => {
    const undone = await tell<Reverted>("revert", { undo: true })
    if (undone === undefined) return
    setDone(undone)
    setUndone(true)
  }
  const resume = async (): Promise<void> => {
    try {
      await post(`${path("runs", runId)}/resume`)
      onClose()
    } catch (error) {
      setUnbegun(error)
    }
  }
  const shown = done ?? preview
  const to = `to before ${back.attempt === undefined ? "" : `attempt ${back.attempt} of `}${back.node}`
  return (
    <Dialog title="Take the run back" onClose={onClose}>
      <div className="inside">
        <h2>{isUndone ? `What was taken of ${runId} is back` : `${done === undefined ? "Take" : "Took"} ${runId} back ${to}`}</h2>
        <p className="soft">
          {done === undefined
            ? "The run itself goes back, with the files of its sandboxes. What it did outside of them stays done."
            : "Nothing runs until it is resumed."}
        </p>
        {problem === undefined ? null : <Problem error={problem} />}
        {unbegun === undefined ? null : <Problem error={unbegun} />}
        {shown === undefined && problem === undefined ? (
          <p className="soft" role="status">
            Looking at what would run again…
          </p>
        ) : null}
        {shown === undefined
          ? null
          : groups.map(([name, title]) => (
              <details key={name} open={shown[name].length > 0 && shown[name].length <= 8} data-group={name}>
                <summary>
                  <strong>{title}</strong> <span className="soft">{shown[name].length}</span>
                </summary>
                <ul>
                  {shown[name].slice(0, 100).map(({ nodeId, iteration }) => (
                    <li key={`${nodeId} ${iteration}`}>
                      <code>
                        {nodeId}
                        {iteration > 0 ? ` #${iteration}` : ""}
                      </code>
                    </li>
                  ))}
                </ul>
              </details>
            ))}
        {shown === undefined || shown.files === null ? null : <Value value={shown.files} label="Files" />}
        {shown?.notes.map((note) => (
          <p key={note} className="soft">
            {note}
          </p>
        ))}
        {done !== undefined ? null : (
          <label>
            <input type="checkbox" checked={files} onChange={({ target }) => setFiles(target.checked)} /> take files back too
          </label>
        )}
        <div className="foot">
          <button type="button" onClick={onClose}>
            {done === undefined ? "Leave it" : "Close"}
          </button>
          {done === undefined ? (
            <button type="button" className="danger" disabled={isBusy || preview === undefined} onClick={() => void revert()}>
              Take it back
            </button>
          ) : (
            <>
              {isUndone ? null : (
                <button type="button" disabled={isBusy} onClick={() => void undo()}>
                  Undo
                </button>
              )}
              <button type="button" className="primary" disabled={isBusy} onClick={() => void resume()}>
                Resume the run
              </button>
            </>
          )}
        </div>
      </div>
    </Dialog>
  )
}
