/**
 * The accounts of `ScanFixVerify`: which issues are fixed after each scan, and what has become of each.
 */

/** An issue that a scan has found. */
export interface Issue {
  readonly key: string
  readonly issue: unknown
}

/** An issue to fix after a scan, with the number of its fixes before. */
export interface OpenIssue extends Issue {
  readonly fixes: number
}

/** The work after a scan, as far as it is done. */
export interface Scan {
  readonly found: ReadonlyArray<Issue>
  readonly isFixed: (key: string) => boolean
  readonly fixes: (key: string) => number
  /** The reason why a fixer or a verifier of the issue failed for good. */
  readonly failure: (key: string) => string | undefined
}

interface State {
  readonly isFixed: boolean
  readonly fixes: number
  readonly failure?: string
}

/** Of issues with one key the first. */
const firsts = (found: ReadonlyArray<Issue>): ReadonlyArray<Issue> =>
  found.filter(({ key }, index) => found.findIndex((other) => other.key === key) === index)

/**
 * The scans so far, each with the issues to fix after it, and what has become of each issue since the last scan that found it. Another scan follows one with issues to fix. What
 * was given up stays given up.
 */
export const account = (scanAt: (scan: number) => Scan, maxScans: number, maxFixes: number) => {
  const scans: Array<{ readonly scan: number; readonly open: ReadonlyArray<OpenIssue> }> = []
  const states = new Map<string, State>()
  for (let scan = 1; scan === 1 || (scan <= maxScans && scans[scan - 2]?.open.length !== 0); scan++) {
    const { found, isFixed, fixes, failure } = scanAt(scan)
    const open: Array<OpenIssue> = []
    for (const { key, issue } of firsts(found)) {
      const before = states.get(key) ?? { isFixed: true, fixes: 0 }
      if (!before.isFixed || before.fixes >= maxFixes) states.set(key, { ...before, isFixed: false })
      else {
        open.push({ key, issue, fixes: before.fixes })
        const reason = failure(key)
        const now = { isFixed: reason === undefined && isFixed(key), fixes: before.fixes + fixes(key) }
        states.set(key, reason === undefined ? now : { ...now, failure: reason })
      }
    }
    scans.push({ scan, open })
  }
  return {
    scans,
    fixed: [...states].flatMap(([key, { isFixed }]) => (isFixed ? [key] : [])),
    survivors: [...states].flatMap(([key, { isFixed, ...survivor }]) => (isFixed ? [] : [{ key, ...survivor }])),
  }
}
