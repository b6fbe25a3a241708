/** Prints a subscription's events and gaps until it is over, at the pace of whatever reads them. Used by `sub` and `tail`. */

import type { Hub, Received, Status, SubscribeOptions, Subscription } from '../client/index.ts'
import { Ended, EXIT } from './exit.ts'
import { eventJson, eventText, gapJson, gapText } from './output/events.ts'
import { note, printLine } from './output/output.ts'
import { type ProgressBar, startProgress } from './output/progress.ts'
import { patience } from './patience.ts'
import type { RemoteOptions } from './remote.ts'
import { listenForStop } from './signals.ts'

export interface FollowOptions extends SubscribeOptions {
  /** Ends after so many events. */
  readonly count?: number
}

export async function follow(hub: Hub, name: string, remote: RemoteOptions, options: FollowOptions): Promise<void> {
  const { count = Number.POSITIVE_INFINITY, ...subscribeOptions } = options
  const json = remote.json === true
  const stop = listenForStop()
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
    const outcome = await Promise.race([stop.signalled, started.late, subscription.ended])
    if (outcome instanceof Error) throw outcome
    if (typeof outcome === 'number') {
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
