/** How many of something each address has, up to a bound. */

export class PerAddress {
  readonly #max: number
  readonly #counts = new Map<string, number>()

  constructor(max: number) {
    this.#max = max
  }

  /** Whoever has no address is of this process. */
  hasRoom(address: string | undefined): boolean {
    return address === undefined || (this.#counts.get(networkOf(address)) ?? 0) < this.#max
  }

  /** Counts one more; the result takes it back. */
  take(address: string | undefined): () => void {
    const network = networkOf(address)
    this.#counts.set(network, (this.#counts.get(network) ?? 0) + 1)
    return () => {
      const left = (this.#counts.get(network) ?? 1) - 1
      if (left > 0) this.#counts.set(network, left)
      else this.#counts.delete(network)
    }
  }
}

/** Whoever has an IPv6 address has all those with the same first half. */
export function networkOf(address = ''): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '')
  if (!plain.includes(':')) return plain
  const [head = '', tail] = plain.split('::')
  const groups = (part = '') => (part === '' ? [] : part.split(':'))
  const missing = tail === undefined ? 0 : Math.max(0, 8 - groups(head).length - groups(tail).length)
  const all = [...groups(head), ...Array.from({ length: missing }, () => '0'), ...groups(tail)]
  return all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}
