/** An outlet that keeps what it is given and takes as long over each page as the test likes. */

import type { Channel, Outlet } from '../../../server/core/topics/outlet.ts'
import { eventObject, type Packet } from '../../../server/core/topics/packet.ts'
import type { WireError } from '../../../shared/errors.ts'
import type { Gap, Subscribed } from '../../../shared/protocol.ts'

export type Told =
  | { readonly kind: 'subscribed'; readonly info: Omit<Subscribed, 'limits'> }
  | { readonly kind: 'gap'; readonly gap: Gap }
  | { readonly kind: 'event'; readonly offset: number; readonly data: unknown }
  | { readonly kind: 'live' | 'behind'; readonly offset: number }
  | { readonly kind: 'error'; readonly error: WireError }

/** A room of outlets. */
export class TestChannel implements Channel {
  readonly members = new Set<TestOutlet>()

  broadcast(packet: Packet): void {
    for (const member of this.members) member.take(packet)
  }
}

export class TestOutlet implements Outlet {
  readonly told: Told[] = []
  readonly channel: TestChannel
  overfull = false
  readonly #pace: () => Promise<void>

  constructor(channel: TestChannel, pace: () => Promise<void> = async () => {}) {
    this.channel = channel
    this.#pace = pace
  }

  take(packet: Packet): void {
    for (const event of packet.events) {
      this.told.push({ kind: 'event', offset: event.offset, data: eventObject(event).data })
    }
  }

  subscribed(info: Omit<Subscribed, 'limits'>): void {
    this.told.push({ kind: 'subscribed', info })
  }

  gap(gap: Gap): void {
    this.told.push({ kind: 'gap', gap })
  }

  async page(packet: Packet): Promise<void> {
    this.take(packet)
    await this.#pace()
  }

  async drained(): Promise<void> {
    await this.#pace()
  }

  push(packet: Packet): void {
    this.take(packet)
  }

  live(offset: number): void {
    this.told.push({ kind: 'live', offset })
    this.channel.members.add(this)
  }

  leave(): void {
    this.channel.members.delete(this)
  }

  behind(offset: number): void {
    this.overfull = false
    this.told.push({ kind: 'behind', offset })
  }

  end(error: WireError): void {
    this.told.push({ kind: 'error', error })
  }

  get offsets(): number[] {
    return this.told.flatMap((told) => (told.kind === 'event' ? [told.offset] : []))
  }

  get isLive(): boolean {
    return this.channel.members.has(this)
  }
}
