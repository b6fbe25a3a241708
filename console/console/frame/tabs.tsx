/** The views of one thing, of which one is shown; the address names it. */

import type { ComponentChildren } from 'preact'
import { go, linkHere, route } from './route.ts'

interface TabsProps<View extends string> {
  /** What the views are of. */
  readonly name: string
  readonly views: Readonly<Record<View, string>>
  readonly view: View
  /** Behind the title of a view. */
  readonly notes?: Partial<Readonly<Record<View, string>>>
  readonly children: ComponentChildren
}

/** The first where the address names none. */
export function viewOf<View extends string>(views: Readonly<Record<View, string>>): View {
  const names = Object.keys(views) as View[]
  const asked = route.value.query.get('view')
  return names.find((known) => known === asked) ?? (names[0] as View)
}

export function Tabs<View extends string>({ name, views, view, notes = {}, children }: TabsProps<View>) {
  return (
    <div class="tabs">
      <div role="tablist" aria-label={name}>
        {(Object.keys(views) as View[]).map((one) => (
          <button
            key={one}
            type="button"
            role="tab"
            aria-selected={one === view}
            onClick={() => go(linkHere({ view: one, job: undefined }))}
          >
            {views[one]}
            {notes[one]}
          </button>
        ))}
      </div>
      {children}
    </div>
  )
}
