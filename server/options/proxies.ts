/** Proxies that are trusted: how they are written down, and the addresses of clients as those proxies tell them. */

import { BlockList, isIP } from 'node:net'
import { type Addresses, plainAddress } from '../core/guards/addresses.ts'

/** `trusted`: addresses and networks (`10.0.0.0/8`) of proxies whose `X-Forwarded-For` is believed. */
export function addressesBehind(trusted: readonly string[]): Addresses {
  const list = new BlockList()
  for (const one of trusted) {
    const [address = '', bits] = one.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  const isProxy = (address: string | undefined): boolean => {
    if (address === undefined || trusted.length === 0) return false
    const known = plainAddress(address)
    return list.check(known, isIP(known) === 6 ? 'ipv6' : 'ipv4')
  }
  return {
    isProxy,
    of({ headers, socket }) {
      let address = socket.remoteAddress
      if (!isProxy(address)) return address
      const told = String(headers['x-forwarded-for'] ?? '').split(',')
      // Each proxy adds whom it was asked by. What stands before the first that is not trusted anybody may have written.
      while (isProxy(address)) {
        const before = plainAddress(told.pop()?.trim() ?? '')
        if (isIP(before) === 0) return address
        address = before
      }
      return address
    },
  }
}

function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/')
  const most = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1
  return rest.length === 0 && most > 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most))
}

export function readNetworks(input: unknown): readonly string[] | undefined {
  const list = typeof input === 'string' ? input.split(',').map((one) => one.trim()) : input
  if (!Array.isArray(list)) return undefined
  return list.every((one) => typeof one === 'string' && isNetwork(one)) ? list : undefined
}
