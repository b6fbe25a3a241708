/** Schemas as the documents of the interface have them: those with a name stand once, and others refer to them. */

import { z } from 'zod'

export type JsonSchema = Record<string, unknown>

/** What zod says of every whole number, and nobody wants to read. */
const SAFE = { minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }

/** A call of a client: its arguments, and the value of a reply that is well. */
export interface Called {
  readonly summary: string
  readonly args: readonly z.ZodType[]
  /** How many of the arguments may be left out, or be `null`. */
  readonly optional?: number
  readonly value: z.ZodType
}

/** A packet of the hub. */
export interface Sent {
  readonly summary: string
  readonly args: readonly z.ZodType[]
}

/** The named schemas that a document has come across. */
export class Components {
  readonly #named: Record<string, JsonSchema> = {}

  /** A reference where the schema has a name. */
  schemaOf(schema: z.ZodType): JsonSchema {
    const {
      $schema: _,
      $defs,
      ...rest
    } = z.toJSONSchema(schema, {
      io: 'input',
      unrepresentable: 'any',
      override: ({ zodSchema, jsonSchema }) => {
        // Zod leaves them out of what is transformed when it is read.
        const { examples, default: standard } = z.globalRegistry.get(zodSchema) ?? {}
        if (Array.isArray(examples)) jsonSchema.examples = examples
        if (standard !== undefined) jsonSchema.default = standard as NonNullable<typeof jsonSchema.default>
        tidy(jsonSchema as JsonSchema)
      },
    })
    for (const [name, named] of Object.entries($defs ?? {})) this.#named[name] = placed(named)
    return placed(rest)
  }

  /** In the order of their names. */
  all(): Readonly<Record<string, JsonSchema>> {
    return Object.fromEntries(Object.entries(this.#named).sort(([a], [b]) => (a < b ? -1 : 1)))
  }
}

function tidy(schema: JsonSchema): void {
  if (schema.type !== 'integer') return
  // Text that is read as a number is a number to whoever asks.
  delete schema.pattern
  if (schema.minimum === SAFE.minimum) delete schema.minimum
  if (schema.maximum === SAFE.maximum) delete schema.maximum
}

function placed(schema: object): JsonSchema {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/')) as JsonSchema
}
