/** The long poll: waits for something new in a topic by a subscription that is over with its first packet. */

import type { Position } from '../../shared/positions.ts'
import type { Caller } from '../core/access.ts'
import type { Core } from '../core/core.ts'
import type { Channel, Outlet } from '../core/topics/outlet.ts'

/** Resolves when there is something behind `position`, after `waitMs`, or when the signal fires. */
export async function waitBehind(
  core: Core,
  caller: Caller,
  topic: string,
  position: Position,
  waitMs: number,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted || waitMs <= 0) return
  const leave = core.callers.take('longPolls', caller)
  let ring: () => void = () => {}
  const rung = new Promise<void>((resolve) => {
    ring = resolve
  })
  const subscription = core.subscription(caller, topic, new Bell(ring))
  const timer = setTimeout(ring, waitMs)
  signal.addEventListener('abort', ring)
  try {
    await subscription.start({ from: position }, false)
    await rung
  } finally {
    leave()
    clearTimeout(timer)
    signal.removeEventListener('abort', ring)
    subscription.close()
  }
}

/** Says that there is something and throws it away: the log has it. */
class Bell implements Outlet, Channel {
  readonly channel: Channel = this
  readonly overfull = false
  readonly #ring: () => void

  constructor(ring: () => void) {
    this.#ring = ring
  }

  page(): Promise<void> {
    this.#ring()
    // No more than this page is read: the subscription is over.
    return new Promise(() => {})
  }

  async drained(): Promise<void> {}

  gap(): void {
    this.#ring()
  }

  push(): void {
    this.#ring()
  }

  broadcast(): void {
    this.#ring()
  }

  end(): void {
    this.#ring()
  }

  subscribed(): void {}
  live(): void {}
  leave(): void {}
  behind(): void {}
}
