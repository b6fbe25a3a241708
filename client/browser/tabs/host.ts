/** The tabs that follow, as the one that leads knows them: what they may have unread is bounded, and a lock tells when they go. */

import { hold, holderOf } from './locks.ts'
import { alone, channelOf, isHere, lifeOf, sizeOf, type Word } from './messages.ts'
import type { Member, Relay } from './relay.ts'

/** A tab that leaves so many bytes unread is let go. It is frozen, or much too slow: it comes back by itself, and reads on. */
const MAX_UNREAD_BYTES = 16_777_216

export class Host {
  readonly #name: string
  readonly #leader: string
  readonly #relay: Relay
  readonly #guests = new Map<string, Guest>()
  /** The page that this one is to the locks. */
  readonly #page: Promise<string | undefined>
  /** What tabs have said, and nobody has acted on yet. */
  #said: (() => void)[] = []
  #asking = false
  #closed = false

  constructor(name: string, leader: string, relay: Relay) {
    this.#name = name
    this.#leader = leader
    this.#relay = relay
    this.#page = this.#holder()
  }

  /** A tab looks for who leads: whatever it had here before is over. */
  welcome(tab: string): void {
    this.#guests.get(tab)?.leave()
    void isHere(this.#name, tab).then((here) => {
      if (here && !this.#closed) this.#admit(tab)
    })
  }

  #admit(tab: string): void {
    this.#guests.get(tab)?.leave()
    const guest = new Guest(channelOf(this.#name, tab), this.#leader, this.#relay, {
      inTurn: (act) => this.#inTurn(act),
      gone: () => {
        if (this.#guests.get(tab) === guest) this.#guests.delete(tab)
      },
    })
    this.#guests.set(tab, guest)
    // Had as soon as the tab is gone, however it went. What it said before, as an acknowledgement of what it handled, counts.
    hold(lifeOf(this.#name, tab), { signal: guest.left }).then(
      ({ release }) => {
        this.#inTurn(() => guest.leave())
        release()
      },
      () => {},
    )
  }

  close(): void {
    this.#closed = true
    for (const guest of this.#guests.values()) guest.leave()
  }

  /**
   * What was said to a page that stood still is there before the news that its lock was taken away. The tab that said it is
   * elsewhere by then, and to the hub it would be the newer session: so it is only passed on by one that has the lock.
   */
  #inTurn(act: () => void): void {
    this.#said.push(act)
    if (!this.#asking) void this.#act()
  }

  async #act(): Promise<void> {
    this.#asking = true
    while (this.#said.length > 0) {
      const said = this.#said
      this.#said = []
      const [page, holder] = await Promise.all([this.#page, this.#holder()])
      const isTaken = holder !== undefined && holder !== page
      if (!isTaken && !this.#closed) for (const act of said) act()
    }
    this.#asking = false
  }

  /** `undefined` where nobody can tell. */
  #holder(): Promise<string | undefined> {
    return holderOf(this.#name).catch(() => undefined)
  }
}

interface GuestOwner {
  /** Calls it behind all that was said before, if this tab still leads. */
  inTurn(act: () => void): void
  gone(): void
}

class Guest {
  readonly #channel: BroadcastChannel
  readonly #leader: string
  readonly #relay: Relay
  readonly #owner: GuestOwner
  readonly #members = new Map<number, Member>()
  readonly #leaving = new AbortController()
  #unread = 0

  constructor(channel: BroadcastChannel, leader: string, relay: Relay, owner: GuestOwner) {
    this.#channel = channel
    this.#leader = leader
    this.#relay = relay
    this.#owner = owner
    this.left.addEventListener('abort', owner.gone)
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
      default:
        this.#owner.inTurn(() => this.#act(word))
    }
  }

  #act(word: Word): void {
    if (this.left.aborted) return
    switch (word.kind) {
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
