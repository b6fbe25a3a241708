/** A name and its value, of a list of them in a line. */

import type { ComponentChildren } from 'preact'

export function Fact({ name, value }: { readonly name: string; readonly value: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  )
}
