/**
 * Schemas that are made when they are first needed. A process that has just begun meets few of its errors: to make the schemas of all of
 * them takes 10 ms.
 */
import * as Data from "effect/Data"
import * as Schema from "effect/Schema"

/** Names of what every schema has, and of what makes it a struct or a union. The first reading of one makes the schema. */
const schemaNames = [Schema.TypeId, "annotations", "ast", "fields", "make", "members", "pipe"]

/** Names of what a class of errors has. */
const errorNames = [
  Schema.TypeId,
  ...["_tag", "annotations", "ast", "extend", "fields", "identifier", "make", "pipe", "transformOrFail", "transformOrFailFrom"],
]

/** Lets `holder` inherit from what is made, as soon as one of its names is read. Returns a function that sees to it at once. */
const inherit = (holder: object, names: ReadonlyArray<string | symbol>, make: () => object): (() => void) => {
  let isMade = false
  const settle = (): void => {
    if (isMade) return
    const made = make()
    isMade = true
    for (const name of names) Reflect.deleteProperty(holder, name)
    Object.setPrototypeOf(holder, made)
  }
  for (const name of names) {
    const get = function (this: unknown) {
      settle()
      return Reflect.get(holder, name, this)
    }
    Object.defineProperty(holder, name, { configurable: true, get })
  }
  return settle
}

/** A schema that is made when it is first read. */
export const schema = <S extends Schema.Schema.All>(make: () => S): S => {
  class Later {}
  inherit(Later, schemaNames, make)
  return Later as unknown as S
}

/** A class of errors as `Schema.TaggedError` makes it, made with its first error or when its schema is first read. */
export const TaggedError =
  <Self>() =>
  <Tag extends string, Fields extends Schema.Struct.Fields>(
    tag: Tag,
    fields: Fields,
  ): Schema.TaggedErrorClass<Self, Tag, { readonly _tag: Schema.tag<Tag> } & Fields> => {
    class Later extends Data.Error {
      constructor(...given: ReadonlyArray<unknown>) {
        settle()
        // By now the class above is the one that was made.
        super(...(given as []))
      }
    }
    const settle = inherit(Later, errorNames, () => {
      const made = Schema.TaggedError<Self>()(tag, fields) as unknown as typeof Later
      Object.setPrototypeOf(Later.prototype, made.prototype)
      return made
    })
    return Later as unknown as Schema.TaggedErrorClass<Self, Tag, { readonly _tag: Schema.tag<Tag> } & Fields>
  }
