/** Prints a subscription's events and gaps until it is over, at the pace of whatever reads them. Used by `sub` and `tail`. */

import type { Hub, Received, Status, SubscribeOptions, Subscription } from '../client/index.ts'
import { startTimer } from '../shared/timer.ts'
import { Ended, EXIT } from './exit.ts'
import { eventJson, eventText, gapJson, gapText } from './output/events.ts'
import { note, printLine } from './output/output.ts'
import { type ProgressBar, startProgress } from './output/progress.ts'
import { patience } from './patience.ts'
import type { RemoteOptions } from './remote.ts'
import { stopSignal } from './signals.ts'

/** How long a stop waits for a hub that is away. */
const AWAY_MS = 5_000

interface FollowOptions extends SubscribeOptions {
  /** The hub keeps a cursor, which moves with what is printed. */
  readonly acknowledges?: boolean
  /** Ends after so many events. */
  readonly count?: number
}

export async function follow(hub: Hub, name: string, remote: RemoteOptions, options: FollowOptions): Promise<void> {
  const { count = Number.POSITIVE_INFINITY, acknowledges = false, ...subscribeOptions } = options
  const json = remote.json === true
  const stopped = stopSignal()
  let printed = 0

  // The SDK acknowledges what a handler has finished, so only what was written to standard output.
  async function print(event: Received): Promise<void> {
    printed++
    await printLine(json ? eventJson(name, event.epoch, event) : eventText(event))
    if (printed === count) void subscription.close()
  }

  const subscription = hub.topic(name).subscribe(print, { onFailure: 'stop', maxAttempts: 1, ...subscribeOptions })
  // Where even a gap cannot be written the next event cannot either, and ends the subscription with the reason.
  subscription.onGap((gap) => void printLine(json ? gapJson(name, gap) : gapText(gap)).catch(() => {}))
  const unwatch = json ? () => {} : tellStatus(subscription)
  const started = patience(subscription, 'no subscription', remote)
  try {
    const outcome = await Promise.race([stopped, started.late, subscription.ended])
    if (outcome instanceof Error) throw outcome
    if (typeof outcome === 'number') {
      if (printed > 0 && acknowledges && subscription.status.state === 'offline') await hubBack(subscription, remote)
      await subscription.close()
      throw new Ended(outcome)
    }
    if (outcome.code === 'closed') return
    if (outcome.code === 'handler_failed') throw outcome.error
    throw 'error' in outcome ? outcome.error : new Ended(EXIT.failed)
  } finally {
    started.clear()
    unwatch()
  }
}

/** What was printed and not acknowledged would come again: a hub that is away for a moment is waited for. */
async function hubBack(subscription: Subscription, { timeout }: RemoteOptions): Promise<void> {
  const waitMs = Math.min(AWAY_MS, timeout)
  note(
    `reprise: the hub is away; waiting ${waitMs} ms for it to acknowledge what was printed (Ctrl-C again ends at once)`,
  )
  await new Promise<void>((resolve) => {
    const stop = startTimer(waitMs, () => {
      note('reprise: the hub is still away; what was printed last may come again')
      resolve()
    })
    subscription.onStatus(({ state }) => {
      if (state === 'offline') return
      stop()
      resolve()
    })
  })
}

/** Says on standard error what happens to the connection, where a person sees it. */
function tellStatus(subscription: Subscription): () => void {
  let there = false
  let away = false
  let bar: ProgressBar | undefined
  // A bar between the lines of a terminal would tear them.
  const barWanted = !process.stdout.isTTY
  const undos = [
    subscription.onStatus((status: Status) => {
      if (status.state === 'offline') {
        // One that was never there is told by the error that ends the command.
        if (there && !away) note(`reprise: connection lost (${status.reason.message}); trying again`)
        away = there
      } else if (status.state === 'live' || status.state === 'catching-up') {
        if (away) note('reprise: connected again')
        there = true
        away = false
      }
    }),
    subscription.onProgress(({ done, total }) => {
      if (total === 0) return
      bar ??= startProgress('catching up', 'events', total, barWanted)
      bar.update(done, total)
      if (done < total) return
      bar.stop()
      bar = undefined
    }),
  ]
  return () => {
    bar?.stop()
    for (const undo of undos) undo()
  }
}
