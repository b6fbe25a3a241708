/** From where a request comes: the other end of its connection, or what a proxy that is trusted says of it (options/proxies.ts). */

/** What is looked at of a request. */
export interface Asked {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly socket: { readonly remoteAddress?: string | undefined }
}

/** Tells addresses of requests; without one where both ends are of this process. */
export interface Addresses {
  of(request: Asked): string | undefined
  /** Whether this is a proxy, which has the connections of many. */
  isProxy(address: string | undefined): boolean
}

/** Some servers hear of IPv4 in the form of IPv6. */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '')
}

/** What is counted together: whoever has an IPv6 address has all those with the same first half. */
export function networkOf(address: string | undefined): string | undefined {
  if (address === undefined) return undefined
  const known = plainAddress(address)
  if (!known.includes(':')) return known
  const [head = '', tail] = known.split('::')
  const groups = (part = '') => (part === '' ? [] : part.split(':'))
  const missing = tail === undefined ? 0 : Math.max(0, 8 - groups(head).length - groups(tail).length)
  const all = [...groups(head), ...Array.from({ length: missing }, () => '0'), ...groups(tail)]
  return all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}
