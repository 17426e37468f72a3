/**
 * Names of the settings of agents. Unknown names are refused where they are certainly mistakes. Others are passed to the AI SDK,
 * which may know more settings than the version that this package was compiled with.
 */
import { InvalidSetting } from "@smithers/core/Errors"
import * as Millis from "@smithers/core/Millis"
import { unknownIn } from "@smithers/core/Names"
import * as Thrown from "@smithers/core/Thrown"

/** The settings of the SDK that an agent sets itself, and names of earlier versions; each with advice. */
const refusedNames: { readonly [name: string]: string } = {
  id: 'use "name"',
  output: "the schema of the step is the schema of the output",
  maxRetries: "the retry policy of the step decides",
  runtimeContext: "it is the context of the step",
  allowSystemInMessages: 'use "instructions"',
  callOptionsSchema: "the step makes the call",
  prepareCall: 'use a function for "instructions"',
  _internal: "it belongs to the SDK",
  system: 'use "instructions"',
  prompt: "the step has the prompt",
  messages: "the step has the prompt",
  maxTokens: 'use "maxOutputTokens"',
}

/** Throws `InvalidSetting` for settings that are no object, or have a name that is certainly a mistake. */
export const checkSettingNames = (settings: unknown, known: ReadonlyArray<string>): void => {
  if (typeof settings !== "object" || settings === null)
    throw new InvalidSetting({ setting: "createAgent", received: Millis.show(settings), expected: "an object with a name" })
  const refuse = (setting: string, advice: string): never => {
    const expected = `left out: createAgent has no such setting. ${advice}`
    throw new InvalidSetting({ setting, received: Millis.show(Thrown.get(settings, setting)), expected })
  }
  for (const name of Object.keys(settings)) {
    const advice = refusedNames[name]
    if (advice !== undefined) refuse(name, `${advice[0]?.toUpperCase()}${advice.slice(1)}`)
    const near = unknownIn({ [name]: true }, known)?.nearest
    if (near !== undefined) refuse(name, `Did you mean "${near}"?`)
  }
}
