/**
 * The accounts of `Supervisor`: which planned tasks can begin, which were accepted in the rounds so far, and why others are left.
 */

/** A task as the boss plans it. */
export interface PlannedTask {
  readonly id: string
  /** Name of the worker. Default, also for a name that is unknown: the first one. */
  readonly worker?: string | undefined
  readonly instructions: string
  /** Ids of planned tasks that are done first. The worker is given their results. */
  readonly needs?: ReadonlyArray<string> | undefined
}

/** A task that the boss does not accept. */
export interface Rejection {
  readonly id: string
  readonly feedback: string
}

/** A round: the result of each task that was done in it, and what the boss has rejected. */
export interface Round<W> {
  readonly work: (task: string) => W | undefined
  readonly rejected: ReadonlyArray<Rejection>
}

/** A plan: tasks in the order in which they can be done, why others can never begin, and what is wrong with the whole. */
export interface Ordered {
  readonly order: ReadonlyArray<PlannedTask>
  readonly faults: ReadonlyMap<string, string>
  readonly fault: "overplanned" | "misplanned" | undefined
}

/** Orders tasks, of those with one id the first. */
export const ordered = (planned: ReadonlyArray<PlannedTask>, maxTasks: number): Ordered => {
  const tasks = new Map<string, PlannedTask>()
  for (const task of planned) if (!tasks.has(task.id)) tasks.set(task.id, task)
  const order = new Map<string, PlannedTask>()
  for (let before = -1; before < order.size; ) {
    before = order.size
    for (const [id, task] of tasks) if ((task.needs ?? []).every((need) => order.has(need))) order.set(id, task)
  }
  const faults = new Map<string, string>()
  for (const { id, needs = [] } of tasks.values()) {
    const unknown = needs.find((need) => !tasks.has(need))
    if (unknown !== undefined) faults.set(id, `it needs "${unknown}", which is not planned`)
    else if (!order.has(id)) faults.set(id, "its needs lead into a circle, or to a task that cannot begin")
  }
  const fault = tasks.size > maxTasks ? "overplanned" : faults.size > 0 ? "misplanned" : undefined
  return { order: [...order.values()], faults, fault }
}

/** Accepted results, and tasks that are left with their last reason. A result is accepted with those that it needs, or later. */
export const account = <W>({ order, faults }: Ordered, rounds: ReadonlyArray<Round<W>>) => {
  const done = new Map<string, W>()
  const left = new Map([...order.map(({ id }) => [id, "not begun"] as const), ...faults])
  for (const { work, rejected } of rounds)
    for (const { id, needs = [] } of order.filter((task) => left.has(task.id))) {
      const open = needs.find((need) => left.has(need))
      const feedback = rejected.find((one) => one.id === id)?.feedback
      // Tasks that were not begun have no result.
      const result = open === undefined ? work(id) : undefined
      if (open !== undefined) left.set(id, feedback ?? `it needs "${open}", which is not accepted`)
      else if (result === undefined) left.set(id, "its worker has failed")
      else if (feedback !== undefined) left.set(id, feedback)
      else {
        done.set(id, result)
        left.delete(id)
      }
    }
  return { done, left }
}

/** The tasks that have begun or can begin: what they need is among them, and has a result. */
export const ready = ({ order }: Ordered, hasResult: (task: string) => boolean): ReadonlyArray<PlannedTask> => {
  const found = new Map<string, PlannedTask>()
  for (const task of order) if ((task.needs ?? []).every((need) => found.has(need) && hasResult(need))) found.set(task.id, task)
  return [...found.values()]
}

/** Tasks that are left, for people. */
export const shown = (left: { readonly [task: string]: string }): string =>
  Object.entries(left)
    .map(([task, reason]) => `${task} (${reason})`)
    .join(", ")
