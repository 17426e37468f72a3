import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Slots from "../contract/Slots.ts"
import * as Snapshots from "../contract/Snapshots.ts"
import { suite } from "../contract/Storage.ts"

suite("the store in memory", MemoryStorage.layer)
Slots.suite("the store in memory", MemoryStorage.layer)
Snapshots.suite("the store in memory", MemoryStorage.layer)
