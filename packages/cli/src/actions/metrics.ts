/**
 * Prints the metrics of a store.
 */
import * as Exposition from "@smithers/server/metrics/Exposition"
import * as Prometheus from "@smithers/server/metrics/Prometheus"
import * as Effect from "effect/Effect"
import { connect } from "../Database.ts"

export const metrics = ({ db }: { readonly db: string | undefined }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { storage } = yield* connect(db, "read")
      const statistics = yield* storage.statistics
      const text = Prometheus.text([...Exposition.ofStore(statistics), ...Exposition.ofProcess()])
      return { value: { ...statistics, text }, text: text.trimEnd() }
    }),
  )
