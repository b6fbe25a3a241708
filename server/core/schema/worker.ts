/** A thread that reads schemas beside the hub's own: one after the other, as they come. */

import { parentPort } from 'node:worker_threads'
import { SchemaFault } from './faults.ts'
import { type Schema, sourceOf } from './source.ts'

/** The text of a schema's function, or what is wrong with the schema. */
export type Told = { readonly source: string } | { readonly path: readonly string[]; readonly message: string }

parentPort?.on('message', (text: string) => {
  parentPort?.postMessage(read(text))
})

function read(text: string): Told {
  try {
    return { source: sourceOf(JSON.parse(text) as Schema) }
  } catch (error) {
    if (!(error instanceof SchemaFault)) throw error
    return { path: error.path, message: error.message }
  }
}
