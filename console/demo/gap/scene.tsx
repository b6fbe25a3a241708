/** The second scene: more is missed than the topic keeps, and the hub says exactly what is gone. */

import type { Gap } from '../../../client/index.ts'
import { Ledger } from '../counting/ledger.ts'
import { keep, readKept } from '../kept.ts'
import { Legend, SceneHead } from '../parts/head.tsx'
import { Publisher } from '../parts/publisher.ts'
import { PublisherPanel } from '../parts/publisherPanel.tsx'
import { Subscriber } from '../parts/subscriber.ts'
import { CutSwitch, SubscriberPanel } from '../parts/subscriberPanel.tsx'
import type { Scene } from '../scene.ts'
import { Retention, WANTED } from './retention.ts'

/** More than twice what is kept. */
const MISSED = 120
const SHOWN = 5

interface Told extends Pick<Gap, 'from' | 'to' | 'count' | 'reason'> {
  readonly at: number
}

export const gap: Scene = {
  name: 'gap',
  title: 'A gap',
  begin(visit, changed) {
    const topic = `${visit.base}.gap.${visit.tab}`
    const ledger = new Ledger()
    const retention = new Retention(visit, topic, changed)
    const publisher = new Publisher(visit.connect(), topic, ledger, changed)
    let told = readKept(topic, areTold) ?? []
    const onGap = ({ from, to, count, reason }: Gap): void => {
      told = [{ from, to, count, reason, at: Date.now() }, ...told].slice(0, SHOWN)
      keep(topic, told)
    }
    const subscriber = new Subscriber(visit, { client: `gap-${visit.tab}`, topic, onGap }, ledger, changed)
    return {
      draw: () => (
        <>
          <Head retention={retention} publisher={publisher} subscriber={subscriber} hasTold={told.length > 0} />
          <div class="lanes three">
            <PublisherPanel publisher={publisher} ledger={ledger} topic={topic} burst={MISSED}>
              <Kept retention={retention} />
            </PublisherPanel>
            <SubscriberPanel
              id="away"
              title="The subscriber"
              subscriber={subscriber}
              ledger={ledger}
              control={<CutSwitch isCut={subscriber.isCut} cut={(isCut) => subscriber.cut(isCut)} />}
            />
            <TellingPanel told={told} />
          </div>
          <footer>
            <Legend />
            <p>
              A topic keeps as many events as its settings say. Whoever was away for longer is told first what is gone,
              from where to where and why. Then comes everything that is still kept, in order. The page compares this
              with the offsets that the publish replies named: what is neither here nor told would be counted as lost.
            </p>
          </footer>
        </>
      ),
      close() {
        for (const part of [publisher, subscriber]) part.close()
      },
    }
  },
}

interface HeadProps {
  readonly retention: Retention
  readonly publisher: Publisher
  readonly subscriber: Subscriber
  readonly hasTold: boolean
}

function Head({ retention, publisher, subscriber, hasTold }: HeadProps) {
  const { missed } = subscriber.track.counts()
  return (
    <SceneHead
      title="Miss more than is kept, and be told exactly what."
      claim={`The topic keeps ${WANTED} events. A subscriber misses more than that.`}
      steps={[
        {
          text: `Keep ${WANTED} events`,
          done: retention.isSet,
          ...(retention.mayChange ? { run: () => void retention.set() } : {}),
        },
        { text: 'Go away', done: subscriber.isCut || missed > WANTED || hasTold, run: () => subscriber.cut(true) },
        { text: `Publish ${MISSED}`, done: missed > WANTED || hasTold, run: () => publisher.publish(MISSED) },
        { text: 'Come back', done: hasTold && !subscriber.isCut, run: () => subscriber.cut(false) },
      ]}
    />
  )
}

function Kept({ retention }: { retention: Retention }) {
  const { isSet, mayChange, events, pattern, problem } = retention
  return (
    <div class="kept">
      <p data-test="kept">
        {events === undefined ? 'This page may not see how many events are kept.' : `${events} events are kept.`}
      </p>
      {!isSet && mayChange && (
        <button type="button" onClick={() => void retention.set()}>
          Keep {WANTED} in {pattern}
        </button>
      )}
      {!isSet && !mayChange && (
        <p class="hint-line">
          To change it takes <code>admin</code> on <code>{pattern}</code>, which this page does not have. Without it a
          gap comes when more is missed than the hub keeps.
        </p>
      )}
      {problem !== '' && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </div>
  )
}

function TellingPanel({ told }: { told: readonly Told[] }) {
  const [latest, ...earlier] = told
  return (
    <section class="panel" aria-labelledby="telling">
      <header>
        <h2 id="telling">What the hub told</h2>
        <span class="name">onGap</span>
      </header>
      {latest === undefined ? (
        <p class="quiet">Nothing yet: no event is gone.</p>
      ) : (
        <dl class="gone" data-test="gone">
          <div>
            <dt>gone</dt>
            <dd data-test="range">{rangeOf(latest)}</dd>
          </div>
          <div>
            <dt>events</dt>
            <dd data-test="count">{latest.count ?? 'not known'}</dd>
          </div>
          <div>
            <dt>because they were</dt>
            <dd>{REASONS[latest.reason]}</dd>
          </div>
        </dl>
      )}
      {earlier.length > 0 && (
        <ul class="earlier" aria-label="earlier gaps">
          {earlier.map((one) => (
            <li key={one.at}>
              {new Date(one.at).toLocaleTimeString()}: {rangeOf(one)}
            </li>
          ))}
        </ul>
      )}
      <pre>{`subscription.onGap(({ from, to, count, reason }) => {
  // ask elsewhere for these, or show that they are missing
})`}</pre>
    </section>
  )
}

const REASONS: Readonly<Record<Gap['reason'], string>> = {
  trimmed: 'trimmed by the retention',
  reset: 'of a log that is no more',
  damaged: 'damaged on the disk',
}

function rangeOf({ from, to }: Told): string {
  return from === null || to === null ? 'not known' : `${from}–${to}`
}

function areTold(value: unknown): value is Told[] {
  return Array.isArray(value) && value.every((one) => typeof one?.at === 'number' && one.reason in REASONS)
}
