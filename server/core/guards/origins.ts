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
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly socket: { readonly localAddress?: string | undefined; readonly encrypted?: boolean }
}

/**
 * Why the page behind a request may not have what it asks for, as a sentence; `undefined` when it may. Requests that
 * come from no page have no Origin and pass. Without a rule, pages of the host that was asked for pass, and those of
 * this machine when the host is this machine too.
 */
export async function pageRefusal<Asked extends Request>(
  request: Asked,
  rule: OriginRule<Asked> | undefined,
): Promise<string | undefined> {
  if (rule === '*') return undefined
  const { origin, host } = request.headers as Readonly<Record<string, string | undefined>>
  if (origin === undefined && isForeignPage(request)) {
    return 'pages of other sites may not ask this hub without naming their origin: use fetch or Socket.IO'
  }
  if (typeof rule !== 'function' && isRebound(request, rule)) {
    const scheme = request.socket.encrypted === true ? 'https' : 'http'
    return `this hub is on loopback and does not answer as ${host}: name ${scheme}://${host} in allowOrigins`
  }
  if (origin === undefined || (await isAllowed(request, origin, host, rule))) return undefined
  return `pages of ${origin} may not connect to ${host}: name ${origin} in allowOrigins`
}

async function isAllowed<Asked extends Request>(
  request: Asked,
  origin: string,
  host: string | undefined,
  rule: Exclude<OriginRule<Asked>, '*'> | undefined,
): Promise<boolean> {
  if (typeof rule === 'function') return await rule(origin, request)
  if (rule?.includes(origin)) return true
  const page = URL.canParse(origin) ? new URL(origin) : undefined
  if (page === undefined || host === undefined) return false
  // Who asks by TLS was not sent by a page that anybody on the way could have written.
  if (request.socket.encrypted === true && page.protocol !== 'https:') return false
  // A rule that names the host's origin says of which scheme it is.
  // Some proxies write the port that belongs to the scheme, which no Origin has.
  if (page.host === urlOf(host, page.protocol)?.host)
    return !rule?.some((named) => URL.canParse(named) && new URL(named).host === page.host)
  if (rule !== undefined) return false
  const asked = urlOf(host)
  return asked !== undefined && isThisMachine(asked.hostname) && isThisMachine(page.hostname)
}

/**
 * A page of another site can ask without an Origin: by a `<script>`, an image, a `fetch` whose answer it cannot read.
 * Browsers say so in a header of their own. Who follows a link to an address of the hub looks at it himself.
 */
function isForeignPage({ headers }: Request): boolean {
  const { 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': target } = headers
  if (site === undefined || site === 'same-origin' || site === 'none') return false
  return mode !== 'navigate' || target !== 'document'
}

/**
 * A page whose name was pointed at this machine after it was loaded (DNS rebinding) has the same Origin as its Host, or
 * none at all. So where only this machine can connect, names that are not this machine's have to be in the rule.
 */
function isRebound({ headers, socket }: Request, rule: readonly string[] | undefined): boolean {
  const host = typeof headers.host === 'string' ? headers.host : undefined
  if (host === undefined || !isLoopbackAddress(socket.localAddress)) return false
  const asked = urlOf(host)
  if (asked === undefined) return true
  if (isAddress(asked.hostname) || isThisMachine(asked.hostname)) return false
  return rule?.some((origin) => URL.canParse(origin) && new URL(origin).hostname === asked.hostname) !== true
}

function urlOf(host: string, protocol = 'http:'): URL | undefined {
  const url = `${protocol}//${host}`
  return URL.canParse(url) ? new URL(url) : undefined
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
