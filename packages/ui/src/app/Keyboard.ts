/** Who is told of which command of the keyboard. The one that came last is told first. */
import { useEffect, useRef } from "react"
import * as Keys from "../state/Keys.ts"

type Handlers = { readonly [C in Keys.Command]?: () => void }

interface Listener {
  readonly where: ReadonlyArray<Keys.Where>
  readonly handlers: { readonly current: Handlers }
}

const listeners: Array<Listener> = []
let pending: string | undefined

/** Milliseconds within which the second key of a pair has to come. */
const pairWithin = 1_200
let forget: ReturnType<typeof setTimeout> | undefined

const writing = "input:not([type=checkbox],[type=radio],[type=range],[type=button]), textarea, select, [contenteditable]"

const onKey = (event: KeyboardEvent): void => {
  if (event.defaultPrevented) return
  const target = event.target instanceof Element ? event.target : null
  const { key, ctrlKey, metaKey, altKey } = event
  const where = new Set(listeners.flatMap(({ where }) => where))
  const read = Keys.read(
    {
      key,
      ctrlKey,
      metaKey,
      altKey,
      isWriting: target?.closest(writing) != null,
      isOnControl: target?.closest("button, a, summary, [role=treeitem]") != null,
    },
    // A dialog has the keyboard to itself, but for what is everywhere.
    document.querySelector("dialog[open]") === null ? where : new Set(),
    pending,
  )
  pending = read.pending
  clearTimeout(forget)
  if (pending !== undefined) forget = setTimeout(() => (pending = undefined), pairWithin)
  const { command } = read
  if (command === undefined) return
  const listener = listeners.findLast(({ handlers }) => handlers.current[command] !== undefined)
  if (listener === undefined) return
  event.preventDefault()
  listener.handlers.current[command]?.()
}

/** Listens to commands while the component is there. */
export const useKeys = (where: ReadonlyArray<Keys.Where>, handlers: Handlers): void => {
  const current = useRef(handlers)
  current.current = handlers
  const places = where.join(" ")
  useEffect(() => {
    const listener: Listener = { where: places === "" ? [] : (places.split(" ") as ReadonlyArray<Keys.Where>), handlers: current }
    if (listeners.length === 0) window.addEventListener("keydown", onKey)
    listeners.push(listener)
    return () => {
      listeners.splice(listeners.indexOf(listener), 1)
      if (listeners.length === 0) window.removeEventListener("keydown", onKey)
    }
  }, [places])
}
