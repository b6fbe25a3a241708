/**
 * What tabs say to each other. All of them listen on one channel, where a tab says that it leads, looks for who does, or that
 * each has to connect for itself. Each tab that follows has a channel besides, for it and the one that leads.
 */

import { holderOf } from './locks.ts'
import type { Data } from './pipe.ts'

export type Call =
  | { readonly kind: 'leads'; readonly tab: string }
  | { readonly kind: 'follows'; readonly tab: string }
  /** The hub cannot serve many over one connection. */
  | { readonly kind: 'alone' }

/** `leader`: to or from which one, as there may be another one meanwhile. `pipe`: which of the tab's. */
export type Word =
  | { readonly kind: 'welcome' | 'ping' | 'pong'; readonly leader: string }
  | { readonly kind: 'open' | 'close'; readonly leader: string; readonly pipe: number }
  | { readonly kind: 'data'; readonly leader: string; readonly pipe: number; readonly data: Data }
  /** What the leader has sent was read, so many bytes of it. */
  | { readonly kind: 'read'; readonly leader: string; readonly bytes: number }

/** The channel of one tab and the one that leads. */
export function channelOf(name: string, tab: string): BroadcastChannel {
  return new BroadcastChannel(`${name} ${tab}`)
}

/** The lock that a tab has as long as it is there. */
export function lifeOf(name: string, tab: string): string {
  return `${name} ${tab}`
}

/**
 * Whether a tab has its lock where this page has its own, or nobody can tell. When somebody clears what the site has stored,
 * pages that are loaded afterwards have other locks than those before, and the same channels: each of the two groups leads
 * itself.
 */
export async function isHere(name: string, tab: string): Promise<boolean> {
  try {
    return (await holderOf(lifeOf(name, tab))) !== undefined
  } catch {
    return true
  }
}

/** A view takes its whole buffer along. */
export function alone(data: Data): Data {
  return ArrayBuffer.isView(data) && data.byteLength < data.buffer.byteLength
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice()
    : data
}

/** About the bytes that it takes. */
export function sizeOf(data: Data): number {
  return typeof data === 'string' ? data.length : data.byteLength
}
