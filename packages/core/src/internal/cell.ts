/** Where a node of a schedule stands. One cell is enough for a node, as the passes of a loop follow each other. */
export const Cell = { idle: 0, waiting: 1, ready: 2, running: 3, retrying: 4, done: 5, failed: 6, held: 7 } as const
