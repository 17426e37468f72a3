/** What a process costs that imports `effect` and opens a database: `bun bench/effectOnly.ts <file>`. */
import { Database } from "bun:sqlite"
import { Effect } from "effect"

const database = new Database(process.argv[2])
database.run("CREATE TABLE written (at INTEGER) STRICT")
await Effect.runPromise(Effect.sync(() => database.run("INSERT INTO written VALUES (?)", [Date.now()])))
database.close()
