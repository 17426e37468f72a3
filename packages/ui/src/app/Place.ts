/** The place in the page, as a hook on its address. */
import { useCallback, useMemo } from "react"
import { useLocation, useSearch } from "wouter"
import * as Url from "../state/Url.ts"

export interface Navigation {
  readonly place: Url.Place
  /** Changes the query of the place. `replace` leaves no step in the history: for what changes while one drags. */
  readonly change: (changes: Url.Query, options?: { readonly replace?: boolean }) => void
  readonly go: (place: Url.Place) => void
}

export const usePlace = (): Navigation => {
  const [path, navigate] = useLocation()
  const search = useSearch()
  // The router decodes both once more, which would spoil ids with a `%`. They only tell when the address has changed.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the address itself is read
  const place = useMemo(() => Url.parse(window.location.pathname, window.location.search), [path, search])
  const change = useCallback(
    (changes: Url.Query, { replace = false }: { readonly replace?: boolean } = {}) => {
      // What is there now counts, not what was there when this was made: two changes in a row keep both.
      const now = Url.parse(window.location.pathname, window.location.search)
      navigate(Url.format(Url.change(now, changes)), { replace })
    },
    [navigate],
  )
  const go = useCallback((place: Url.Place) => navigate(Url.format(place)), [navigate])
  return { place, change, go }
}
