/** Which pages may open a connection. CORS does not cover WebSocket, so the request itself is judged. */

import type { IncomingMessage } from 'node:http'

/** `*`, a list of origins, or a function that decides. */
export type OriginRule =
  | '*'
  | readonly string[]
  | ((origin: string, request: IncomingMessage) => boolean | Promise<boolean>)

/**
 * Requests without an Origin come from programs, not from pages, and pass. Without a rule pages of the host that was
 * asked for pass, and those of this machine when the host is this machine too.
 */
export async function mayConnect(request: IncomingMessage, rule: OriginRule | undefined): Promise<boolean> {
  const { origin, host } = request.headers
  if (origin === undefined || rule === '*') return true
  if (typeof rule === 'function') return await rule(origin, request)
  if (rule?.includes(origin)) return true
  const page = URL.canParse(origin) ? new URL(origin) : undefined
  if (page === undefined || host === undefined) return false
  if (page.host === host) return true
  if (rule !== undefined) return false
  const asked = URL.canParse(`http://${host}`) ? new URL(`http://${host}`) : undefined
  return asked !== undefined && isLoopback(asked.hostname) && isLoopback(page.hostname)
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
}
