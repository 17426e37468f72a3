/**
 * The person at the terminal.
 */

/** Returns the name of the user. `undefined` if `USER` is not set and `id` does not exist. */
export const userName = (): string | undefined => {
  const { USER: named } = process.env
  if (named !== undefined && named !== "") return named
  try {
    const asked = Bun.spawnSync(["id", "-un"], { stderr: "ignore" })
    const name = asked.stdout.toString().trim()
    if (asked.exitCode === 0 && name !== "") return name
  } catch {
    // The program does not exist.
  }
  const id = process.getuid?.()
  return id === undefined ? process.env.USERNAME : `uid ${id}`
}
