/**
 * The API of OpenTelemetry, looked up in the program when that has registered a tracer, and never bundled: browsers and
 * programs without one pay nothing.
 */

import type * as Otel from '@opentelemetry/api'

interface Globals {
  /** Where each copy of the API finds what was registered. */
  readonly [REGISTERED]?: { readonly trace?: unknown }
  readonly process?: {
    readonly argv: readonly string[]
    cwd(): string
    /** Since Node 20.16. */
    getBuiltinModule?(name: 'module'): { createRequire(from: string): (name: string) => unknown }
  }
}

const REGISTERED = Symbol.for('opentelemetry.js.api.1')

let api: typeof Otel | null | undefined

export function registeredApi(): typeof Otel | undefined {
  const { [REGISTERED]: registered, process } = globalThis as unknown as Globals
  if (registered?.trace === undefined || process?.getBuiltinModule === undefined) return undefined
  api ??= find(process.getBuiltinModule('module').createRequire, [process.argv[1] ?? '', `${process.cwd()}/`])
  return api ?? undefined
}

function find(createRequire: (from: string) => (name: string) => unknown, places: readonly string[]) {
  for (const place of places.filter((one) => one !== '')) {
    try {
      return createRequire(place)('@opentelemetry/api') as typeof Otel
    } catch {
      // It may be found from another place.
    }
  }
  return null
}
