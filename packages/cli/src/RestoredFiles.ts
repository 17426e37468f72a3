/**
 * Files that a revert or a fork restores, as text.
 */
import type * as Revert from "@smithers/core/Revert"
import { oneLine, plural, shorten } from "@smithers/server/views/Text"

/** Maximum number of nodes or files that are shown. */
export const mostShown = 20

const marks = { create: "+", replace: "~", remove: "-" } as const

/** A line of a list, whose title takes `width`; long lists are cut. */
export const listed = (title: string, items: ReadonlyArray<string>, width: number): ReadonlyArray<string> => {
  if (items.length === 0) return []
  const rest = items.length > mostShown ? `, and ${items.length - mostShown} more` : ""
  return [`  ${title.padEnd(width)} ${items.length}: ${shorten(oneLine(items.slice(0, mostShown).join(", ")), 600)}${rest}`]
}

/** The lines of one directory. */
export const filesText = ({ root, changes, overwrites }: Revert.RevertedFiles, width: number): ReadonlyArray<string> => {
  const shown = changes.slice(0, mostShown).map(({ path, change }) => `    ${marks[change]} ${oneLine(path)}`)
  const rest = changes.length > mostShown ? [`    and ${changes.length - mostShown} more`] : []
  return [
    `  ${"files".padEnd(width)} ${changes.length === 0 ? "as they are" : `${plural(changes.length, "file")} below ${root}`}`,
    ...shown,
    ...rest,
    ...listed("not saved", overwrites, width),
  ]
}
