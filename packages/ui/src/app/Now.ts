/** The time, as a value that goes on each second while somebody looks. */
import { useSyncExternalStore } from "react"

let now = Date.now()
const listeners = new Set<() => void>()
let timer: ReturnType<typeof setInterval> | undefined

const subscribe = (listener: () => void): (() => void) => {
  listeners.add(listener)
  timer ??= setInterval(() => {
    if (document.visibilityState === "hidden") return
    now = Date.now()
    for (const one of listeners) one()
  }, 1_000)
  return () => {
    listeners.delete(listener)
    if (listeners.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
}

export const useNow = (): number => useSyncExternalStore(subscribe, () => now)

const narrow = window.matchMedia("(max-width: 800px)")
const onNarrow = (listener: () => void): (() => void) => {
  narrow.addEventListener("change", listener)
  return () => narrow.removeEventListener("change", listener)
}

/** `true` on screens of a phone's width. */
export const useIsNarrow = (): boolean => useSyncExternalStore(onNarrow, () => narrow.matches)
