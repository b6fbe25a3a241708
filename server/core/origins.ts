/**
 * Which pages may reach a hub, judged by what their browser says of them. CORS covers neither WebSocket nor what a
 * request has done already, so both edges judge the request itself.
 */

/** `*`, a list of origins, or a function that decides. */
export type OriginRule<Asked extends Request = Request> =
  | '*'
  | readonly string[]
  | ((origin: string, request: Asked) => boolean | Promise<boolean>)

/** What is judged of a request. */
interface Request {
  readonly headers: { readonly origin?: string | undefined; readonly host?: string | undefined }
  readonly socket: { readonly localAddress?: string | undefined }
}

/**
 * Requests without an Origin come from programs, not from pages, and pass. Without a rule pages of the host that was
 * asked for pass, and those of this machine when the host is this machine too.
 */
export async function mayConnect<Asked extends Request>(
  request: Asked,
  rule: OriginRule<Asked> | undefined,
): Promise<boolean> {
  const { origin, host } = request.headers
  if (rule === '*') return true
  if (typeof rule === 'function') return origin === undefined || (await rule(origin, request))
  if (isRebound(request, rule)) return false
  if (origin === undefined || rule?.includes(origin)) return true
  const page = URL.canParse(origin) ? new URL(origin) : undefined
  if (page === undefined || host === undefined) return false
  if (page.host === host) return true
  if (rule !== undefined) return false
  const asked = urlOf(host)
  return asked !== undefined && isThisMachine(asked.hostname) && isThisMachine(page.hostname)
}

/** The sentence for whom `mayConnect` refuses. */
export function originRefusal({ headers }: Request): string {
  const { origin, host } = headers
  return origin === undefined
    ? `this hub is on loopback and does not answer as ${host}: name http://${host} in allowOrigins`
    : `pages of ${origin} may not connect to ${host}: name ${origin} in allowOrigins`
}

/**
 * A page whose name was pointed at this machine after it was loaded (DNS rebinding) has the same Origin as its Host, or
 * none at all. So where only this machine can connect, names that are not this machine's have to be in the rule.
 */
function isRebound({ headers, socket }: Request, rule: readonly string[] | undefined): boolean {
  const { host } = headers
  if (host === undefined || !isLoopbackAddress(socket.localAddress)) return false
  const asked = urlOf(host)
  if (asked === undefined) return true
  if (isAddress(asked.hostname) || isThisMachine(asked.hostname)) return false
  return rule?.some((origin) => URL.canParse(origin) && new URL(origin).hostname === asked.hostname) !== true
}

function urlOf(host: string): URL | undefined {
  return URL.canParse(`http://${host}`) ? new URL(`http://${host}`) : undefined
}

/** A number cannot be pointed elsewhere. */
function isAddress(hostname: string): boolean {
  return hostname.startsWith('[') || /^\d+(\.\d+){3}$/.test(hostname)
}

function isThisMachine(hostname: string): boolean {
  return /(^|\.)localhost$/.test(hostname) || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
}

function isLoopbackAddress(address = ''): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address)
}
