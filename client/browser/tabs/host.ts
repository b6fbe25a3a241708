/** The tabs that follow, as the one that leads knows them: what they may have unread is bounded, and a lock tells when they go. */

import { hold } from './locks.ts'
import { alone, channelOf, lifeOf, sizeOf, type Word } from './messages.ts'
import type { Member, Relay } from './relay.ts'

/** A tab that leaves so many bytes unread is let go. It is frozen, or much too slow: it comes back by itself, and reads on. */
const MAX_UNREAD_BYTES = 16_777_216

export class Host {
  readonly #name: string
  readonly #leader: string
  readonly #relay: Relay
  readonly #guests = new Map<string, Guest>()

  constructor(name: string, leader: string, relay: Relay) {
    this.#name = name
    this.#leader = leader
    this.#relay = relay
  }

  /** A tab looks for who leads: whatever it had here before is over. */
  welcome(tab: string): void {
    this.#guests.get(tab)?.leave()
    const guest = new Guest(channelOf(this.#name, tab), this.#leader, this.#relay, () => {
      if (this.#guests.get(tab) === guest) this.#guests.delete(tab)
    })
    this.#guests.set(tab, guest)
    // Had as soon as the tab is gone, however it went.
    hold(lifeOf(this.#name, tab), { signal: guest.left }).then(
      ({ release }) => {
        guest.leave()
        release()
      },
      () => {},
    )
  }

  close(): void {
    for (const guest of this.#guests.values()) guest.leave()
  }
}

class Guest {
  readonly #channel: BroadcastChannel
  readonly #leader: string
  readonly #relay: Relay
  readonly #members = new Map<number, Member>()
  readonly #leaving = new AbortController()
  #unread = 0

  constructor(channel: BroadcastChannel, leader: string, relay: Relay, gone: () => void) {
    this.#channel = channel
    this.#leader = leader
    this.#relay = relay
    this.left.addEventListener('abort', gone)
    channel.onmessage = ({ data }: MessageEvent<Word>) => {
      if (data.leader === leader) this.#hear(data)
    }
    channel.postMessage({ kind: 'welcome', leader } satisfies Word)
  }

  get left(): AbortSignal {
    return this.#leaving.signal
  }

  leave(): void {
    if (this.left.aborted) return
    this.#leaving.abort()
    for (const [pipe, member] of [...this.#members]) {
      this.#close(pipe)
      member.leave()
    }
    this.#channel.close()
  }

  #hear(word: Word): void {
    switch (word.kind) {
      case 'ping':
        this.#channel.postMessage({ kind: 'pong', leader: this.#leader } satisfies Word)
        return
      case 'read':
        this.#unread -= word.bytes
        return
      case 'open':
        this.#open(word.pipe)
        return
      case 'data':
        this.#members.get(word.pipe)?.take(word.data)
        return
      case 'close': {
        const member = this.#members.get(word.pipe)
        this.#members.delete(word.pipe)
        member?.leave()
      }
    }
  }

  #open(pipe: number): void {
    const member = this.#relay.member({
      deliver: (data) => {
        if (this.left.aborted) return
        this.#channel.postMessage({ kind: 'data', leader: this.#leader, pipe, data: alone(data) } satisfies Word)
        this.#unread += sizeOf(data)
        if (this.#unread > MAX_UNREAD_BYTES) this.leave()
      },
      close: () => this.#close(pipe),
    })
    this.#members.set(pipe, member)
    member.join()
  }

  #close(pipe: number): void {
    if (this.#members.delete(pipe))
      this.#channel.postMessage({ kind: 'close', leader: this.#leader, pipe } satisfies Word)
  }
}
