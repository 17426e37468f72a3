/**
 * Finds many texts at once in one pass (Aho-Corasick). States that lead to several others, and those that text passes through
 * most, have a row for every character that occurs in a pattern; all others have one next state and a failure link. So
 * memory grows with the length of the patterns, and not with their number of characters.
 */

/** A text to find, and the number by which it is known. */
export interface Pattern {
  readonly text: string
  readonly label: number
  /** `true` if line breaks inside it do not count, as in base64 that a command wraps. */
  readonly isWrapped: boolean
}

/** Characters of a wrapped pattern that have to match before a line break is skipped. */
const wrapsAfter = 8

const newline = 10
const isBreak = (code: number): boolean => code === newline || code === 13

/** A place of a text that matches. Overlapping matches are one place. `end` is exclusive. */
export interface Span {
  start: number
  end: number
  label: number
}

/** The patterns, ready to be found. */
export interface Automaton {
  /** Length of the shortest pattern: shorter texts match nothing. */
  readonly shortest: number
  /** Scans `text` from `from` in `state`, adds to `spans`, and returns the state after it. */
  readonly scan: (text: string, from: number, state: number, spans: Array<Span>) => number
  /** Position in `text`, which ended in `state`, from which on it may begin a match. */
  readonly undecidedFrom: (text: string, state: number) => number
}

/** Builds an automaton. Patterns must not be empty. */
export const make = (patterns: ReadonlyArray<Pattern>): Automaton => {
  const size = patterns.reduce((sum, { text }) => sum + text.length, 1)
  // Characters that occur, numbered from 1; 0 are all others.
  const classes = new Uint16Array(65_536)
  let count = 1
  const classOf = (code: number): number => {
    const known = classes[code] ?? 0
    if (known !== 0) return known
    classes[code] = count
    return count++
  }
  classOf(newline)
  classOf(13)

  // The trie, with children as lists of siblings.
  const firstChild = new Int32Array(size)
  const sibling = new Int32Array(size)
  const char = new Uint16Array(size)
  const depth = new Uint32Array(size)
  const match = new Uint32Array(size)
  const label = new Int32Array(size).fill(-1)
  const wraps = new Uint8Array(size)
  const hasBreak = new Uint8Array(size)
  let states = 1
  const child = (state: number, wanted: number): number => {
    let at = firstChild[state] ?? 0
    while (at !== 0 && char[at] !== wanted) at = sibling[at] ?? 0
    return at
  }
  for (const pattern of patterns) {
    let state = 0
    for (let index = 0; index < pattern.text.length; index++) {
      const code = pattern.text.charCodeAt(index)
      const wanted = classOf(code)
      let next = child(state, wanted)
      if (next === 0) {
        next = states++
        char[next] = wanted
        sibling[next] = firstChild[state] ?? 0
        firstChild[state] = next
        depth[next] = index + 1
        hasBreak[next] = isBreak(code) ? 1 : (hasBreak[state] ?? 0)
      }
      state = next
      if (pattern.isWrapped && index + 1 >= wrapsAfter && hasBreak[state] === 0) wraps[state] = 1
    }
    if (match[state] === 0) {
      match[state] = pattern.text.length
      label[state] = pattern.label
    }
  }

  // Breadth first: rows and failure links of shallower states are ready before those of deeper ones.
  const failure = new Int32Array(states)
  const row = new Int32Array(states).fill(-1)
  const rows: Array<Int32Array> = []
  const breaks = [classes[newline] ?? 0, classes[13] ?? 0]
  const step = (from: number, wanted: number): number => {
    let state = from
    for (;;) {
      const at = row[state] ?? -1
      if (at >= 0) return rows[at]?.[wanted] ?? 0
      const next = child(state, wanted)
      if (next !== 0) return next
      if (wraps[state] === 1 && breaks.includes(wanted)) return state
      state = failure[state] ?? 0
    }
  }
  const order = new Int32Array(states)
  let [read, written] = [0, 1]
  while (read < written) {
    const state = order[read++] ?? 0
    const only = firstChild[state] ?? 0
    if ((depth[state] ?? 0) < 2 || (only !== 0 && sibling[only] !== 0)) {
      const made = new Int32Array(count)
      if (state !== 0) for (let wanted = 1; wanted < count; wanted++) made[wanted] = step(failure[state] ?? 0, wanted)
      if (wraps[state] === 1) for (const one of breaks) made[one] = state
      for (let next = only; next !== 0; next = sibling[next] ?? 0) made[char[next] ?? 0] = next
      row[state] = rows.push(made) - 1
    }
    for (let next = only; next !== 0; next = sibling[next] ?? 0) {
      const behind = state === 0 ? 0 : step(failure[state] ?? 0, char[next] ?? 0)
      failure[next] = behind
      if (match[next] === 0 && match[behind] !== 0) {
        match[next] = match[behind] ?? 0
        label[next] = label[behind] ?? -1
      }
      order[written++] = next
    }
  }
  // States with a row first, so that their number tells where it is.
  const dense = rows.length
  const renumbered = new Int32Array(states)
  let [nextDense, nextOther] = [0, dense]
  for (const state of order) renumbered[state] = (row[state] ?? -1) >= 0 ? nextDense++ : nextOther++
  const numberOf = (state: number): number => renumbered[state] ?? 0
  const table = new Int32Array(dense * count)
  const [next, nextOn, failed] = [new Int32Array(states), new Uint16Array(states), new Int32Array(states)]
  const [length, labels, kinds] = [new Uint32Array(states), new Int32Array(states), new Uint8Array(states)]
  const depths = new Uint32Array(states)
  for (const state of order) {
    const number = numberOf(state)
    const only = firstChild[state] ?? 0
    next[number] = only === 0 ? -1 : numberOf(only)
    // No character has the last number.
    nextOn[number] = only === 0 ? 65_535 : (char[only] ?? 0)
    failed[number] = numberOf(failure[state] ?? 0)
    length[number] = match[state] ?? 0
    labels[number] = label[state] ?? -1
    depths[number] = depth[state] ?? 0
    kinds[number] = (wraps[state] ?? 0) + 2 * (hasBreak[state] ?? 0)
    const made = rows[row[state] ?? -1]
    if (made !== undefined) for (let one = 0; one < count; one++) table[number * count + one] = numberOf(made[one] ?? 0)
  }
  const [onNewline, onReturn] = breaks

  /** Goes back over `length` characters; over line breaks only if they count. */
  const back = (text: string, end: number, length: number, counted: boolean): number => {
    if (counted) return Math.max(0, end - length)
    let at = end
    for (let left = length; left > 0 && at > 0; at--) if (!isBreak(text.charCodeAt(at - 1))) left--
    return at
  }
  const countsBreaks = (state: number): boolean => (kinds[state] ?? 0) >= 2
  const note = (text: string, end: number, state: number, spans: Array<Span>): void => {
    const start = back(text, end, length[state] ?? 0, countsBreaks(state))
    let span: Span = { start, end, label: labels[state] ?? -1 }
    for (let last = spans.at(-1); last !== undefined && last.end > span.start; last = spans.at(-1)) {
      const isLonger = last.end - last.start > span.end - span.start
      span = { start: Math.min(last.start, span.start), end: Math.max(last.end, span.end), label: (isLonger ? last : span).label }
      spans.pop()
    }
    spans.push(span)
  }

  return {
    shortest: patterns.reduce((least, { text }) => Math.min(least, text.length), Number.POSITIVE_INFINITY),
    scan: (text, from, before, spans) => {
      let state = before
      for (let index = from, end = text.length; index < end; index++) {
        const wanted = classes[text.charCodeAt(index)] ?? 0
        while (state >= dense && nextOn[state] !== wanted && !(kinds[state] === 1 && (wanted === onNewline || wanted === onReturn)))
          state = failed[state] ?? 0
        if (state < dense) state = table[state * count + wanted] ?? 0
        else if (nextOn[state] === wanted) state = next[state] ?? 0
        if (length[state] !== 0) note(text, index + 1, state, spans)
      }
      return state
    },
    undecidedFrom: (text, state) => back(text, text.length, depths[state] ?? 0, countsBreaks(state)),
  }
}
