/** The third scene: a subscriber whose handler is slow falls behind and catches up, while the others stay live. */

import { Ledger } from '../counting/ledger.ts'
import { keep, readKept } from '../kept.ts'
import { Legend, SceneHead } from '../parts/head.tsx'
import { Publisher } from '../parts/publisher.ts'
import { PublisherPanel } from '../parts/publisherPanel.tsx'
import { Subscriber } from '../parts/subscriber.ts'
import { SubscriberPanel } from '../parts/subscriberPanel.tsx'
import { Switch } from '../parts/switch.tsx'
import type { Scene } from '../scene.ts'

const PER_SECOND = 100
/** 25 events a second: a quarter of what comes. */
const SLOW_MS = 40
/** Events that may wait in the page for a handler. */
const MAX_QUEUE = 20
/** So far behind, everybody sees it. */
const BEHIND = 200
/** A tab that is left open publishes for five minutes. */
const MOST = 30_000
/** The bar of what is behind is full. */
const MUCH = 1_000

export const slow: Scene = {
  name: 'slow',
  title: 'A slow reader',
  begin(visit, changed) {
    const topic = `${visit.base}.slow.${visit.tab}`
    const ledger = new Ledger()
    const options = { maxQueue: MAX_QUEUE }
    const publisher = new Publisher(visit.connect(), topic, ledger, changed, MOST)
    const quick = new Subscriber(visit, { client: `quick-${visit.tab}`, topic }, ledger, changed)
    const late = new Subscriber(visit, { client: `slow-${visit.tab}`, topic, options }, ledger, changed)
    let { isSlow, wasBehind } = readKept(topic, isKept) ?? { isSlow: false, wasBehind: false }
    late.slowMs = isSlow ? SLOW_MS : 0
    const turn = (on: boolean): void => {
      isSlow = on
      late.slowMs = isSlow ? SLOW_MS : 0
      keep(topic, { isSlow, wasBehind } satisfies Kept)
      changed()
    }
    return {
      draw: () => {
        if (!wasBehind && lagOf(late, ledger) >= BEHIND) {
          wasBehind = true
          keep(topic, { isSlow, wasBehind } satisfies Kept)
        }
        const hasCaughtUp = wasBehind && !isSlow && late.status.state === 'live'
        return (
          <>
            <SceneHead
              title="One reader is slow. Nobody waits for it."
              claim="It falls behind and catches up. The others stay live, and the hub buffers nothing for it."
              steps={[
                {
                  text: `Publish ${PER_SECOND} a second`,
                  done: publisher.perSecond > 0 || wasBehind,
                  run: () => publisher.setRate(PER_SECOND),
                },
                { text: 'Slow one down', done: isSlow || wasBehind, run: () => turn(true) },
                { text: `Wait until it is ${BEHIND} behind`, done: wasBehind },
                { text: 'Make it quick again', done: hasCaughtUp, run: () => turn(false) },
              ]}
            />
            <div class="lanes">
              <PublisherPanel publisher={publisher} ledger={ledger} topic={topic} burst={PER_SECOND} />
              <SubscriberPanel
                id="late"
                title="The slow one"
                subscriber={late}
                ledger={ledger}
                control={<Switch label={`Take ${SLOW_MS} ms for each event`} isOn={isSlow} hint="on" turn={turn} />}
                facts={<Lag subscriber={late} ledger={ledger} />}
              />
              <SubscriberPanel
                id="quick"
                title="A quick one"
                subscriber={quick}
                ledger={ledger}
                facts={<Lag subscriber={quick} ledger={ledger} />}
              >
                Has the same events at the same time.
              </SubscriberPanel>
            </div>
            <footer>
              <Legend />
              <p>
                At most {MAX_QUEUE} events wait in the page for the slow handler. Then the SDK stops taking live events
                and reads the log on from its place, a page at a time, as fast as the handler is. The hub holds a
                position for it and no events, so a reader that is a million behind costs as little as one that is ten
                behind.
              </p>
            </footer>
          </>
        )
      },
      close() {
        for (const part of [publisher, quick, late]) part.close()
      },
    }
  },
}

interface Kept {
  readonly isSlow: boolean
  readonly wasBehind: boolean
}

function isKept(value: unknown): value is Kept {
  const { isSlow, wasBehind } = (value ?? {}) as Partial<Record<keyof Kept, unknown>>
  return typeof isSlow === 'boolean' && typeof wasBehind === 'boolean'
}

/** By what the replies named, and for what was published before the page was there by what the hub said. */
function lagOf({ track, status }: Subscriber, { receipts }: Ledger): number {
  const told = status.state === 'catching-up' ? status.total - status.done : 0
  return Math.max(told, receipts.max - track.last, 0)
}

function Lag({ subscriber, ledger }: { subscriber: Subscriber; ledger: Ledger }) {
  const lag = lagOf(subscriber, ledger)
  return (
    <div class="lag">
      <dl class="facts">
        <div>
          <dt>behind</dt>
          <dd data-test="lag">{lag}</dd>
        </div>
        <div>
          <dt>handled in the last second</dt>
          <dd data-test="per-second">{subscriber.perSecond}</dd>
        </div>
      </dl>
      <progress max={MUCH} value={Math.min(lag, MUCH)} aria-label="events behind" />
    </div>
  )
}
