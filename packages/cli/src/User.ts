/**
 * The person at the terminal.
 */

/** The name of the user. Without `USER` the name is not in reach of this process, and "unknown" is nobody's. */
export const userName = (): string | undefined => {
  const { USER: named } = process.env
  if (named !== undefined && named !== "") return named
  try {
    const asked = Bun.spawnSync(["id", "-un"], { stderr: "ignore" })
    const name = asked.stdout.toString().trim()
    if (asked.exitCode === 0 && name !== "") return name
  } catch {
    // There is no such program.
  }
  const id = process.getuid?.()
  return id === undefined ? process.env.USERNAME : `uid ${id}`
}
