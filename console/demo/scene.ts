/** What a scene of the demo is: it begins when somebody goes there, and leaves nothing running behind. */

import type { ComponentChildren } from 'preact'
import type { Visit } from './visit.ts'

export interface Scene {
  /** In the address, behind `#/`. */
  readonly name: string
  /** In the list of scenes. */
  readonly title: string
  /** `changed`: it is to be drawn again. */
  begin(visit: Visit, changed: () => void): Running
}

export interface Running {
  draw(): ComponentChildren
  close(): void
}
