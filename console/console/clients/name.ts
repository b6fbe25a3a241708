/** What a connection is called. */

import type { ClientRow } from '../../../shared/console/protocol.ts'

/** As a person tells it from others; several may have the same. */
export function nameOf({ clients, subjects, console: isConsole }: ClientRow): string {
  const name = clients.length > 0 ? clients.join(', ') : subjects.join(', ')
  return isConsole ? `${name} (console)` : name
}
