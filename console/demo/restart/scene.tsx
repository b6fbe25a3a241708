/** The last scene: the hub itself is killed and started again, and the page goes on counting. */

import { Copyable } from '../../console/frame/copy.tsx'
import { Ledger } from '../counting/ledger.ts'
import { Legend, SceneHead } from '../parts/head.tsx'
import { Publisher } from '../parts/publisher.ts'
import { PublisherPanel } from '../parts/publisherPanel.tsx'
import { Subscriber } from '../parts/subscriber.ts'
import { SubscriberPanel } from '../parts/subscriberPanel.tsx'
import type { Scene } from '../scene.ts'
import { type Outage, Outages } from './outages.ts'

const PER_SECOND = 5
/** An hour of it. */
const MOST = 18_000
/** How long the hub is away is told in seconds. */
const TICK_MS = 500

export const restart: Scene = {
  name: 'restart',
  title: 'A restart',
  begin(visit, changed) {
    const topic = `${visit.base}.restart.${visit.tab}`
    const ledger = new Ledger()
    const outages = new Outages(topic)
    const publisher = new Publisher(visit.connect(), topic, ledger, changed, MOST)
    const subscriber = new Subscriber(visit, { client: `restart-${visit.tab}`, topic }, ledger, changed)
    const timer = setInterval(() => {
      const { state } = subscriber.status
      if (state === 'offline' && !subscriber.isCut && subscriber.track.started) outages.goesOn(publisher.unanswered)
      else if (state === 'live' || state === 'catching-up') outages.ended()
      else if (outages.present === undefined) return
      changed()
    }, TICK_MS)
    return {
      draw: () => {
        const { present, list } = outages
        const hasBeenAway = list.length > 0
        return (
          <>
            <SceneHead
              title="Kill the hub. Start it again. Nothing is lost."
              claim="What was acknowledged is on the disk. What was not waits in the page until the hub is back."
              steps={[
                {
                  text: `Publish ${PER_SECOND} a second`,
                  done: publisher.perSecond > 0 || hasBeenAway,
                  run: () => publisher.setRate(PER_SECOND),
                },
                { text: 'Kill the hub', done: hasBeenAway },
                { text: 'Start it again', done: hasBeenAway && present === undefined },
              ]}
            />
            <div class="lanes three">
              <PublisherPanel publisher={publisher} ledger={ledger} topic={topic} burst={50} />
              <SubscriberPanel id="survivor" title="The subscriber" subscriber={subscriber} ledger={ledger}>
                Comes back by itself, from where it was.
              </SubscriberPanel>
              <HubPanel outages={list} present={present} waiting={publisher.unanswered} />
            </div>
            <footer>
              <Legend />
              <p>
                A publish is answered when its event is on the disk, so no kill takes it away. The SDK sends what was
                not answered again, and the hub knows by its number whether it has it already. Subscribers name the
                position that they have seen. So the counts go on: 0 lost, 0 twice. Keep this page open while the hub is
                away: it cannot be loaded then.
              </p>
            </footer>
          </>
        )
      },
      close() {
        clearInterval(timer)
        for (const part of [publisher, subscriber]) part.close()
      },
    }
  },
}

interface HubPanelProps {
  readonly outages: readonly Outage[]
  readonly present: Outage | undefined
  readonly waiting: number
}

function HubPanel({ outages, present, waiting }: HubPanelProps) {
  const list = outages.filter(({ to }) => to !== undefined)
  const port = location.port === '' ? '3000' : location.port
  return (
    <section class="panel" aria-labelledby="hub">
      <header>
        <h2 id="hub">The hub</h2>
        <span class="name">{location.host}</span>
      </header>
      <p class={`presence ${present === undefined ? '' : 'is-away'}`} role="status" data-test="presence">
        {present === undefined
          ? 'The hub is here.'
          : `The hub has been away for ${secondsOf(present)} s. ${eventsText(waiting)} in this page.`}
      </p>
      <ul class="commands">
        <li>
          <p>Kill it without a warning, on its machine:</p>
          <Copyable text={`kill -9 $(lsof -ti tcp:${port} -sTCP:LISTEN)`} what="the command that kills the hub" />
        </li>
        <li>
          <p>
            Or press <kbd>Ctrl</kbd>+<kbd>C</kbd> in its terminal. Then start it again, on the same store:
          </p>
          <Copyable
            text={port === '3000' ? 'npx reprise serve' : `npx reprise serve --port ${port}`}
            what="the command that starts the hub"
          />
        </li>
      </ul>
      {list.length > 0 && (
        <ol class="outages" aria-label="when the hub was away">
          {list.map((outage) => (
            <li key={outage.from}>
              {new Date(outage.from).toLocaleTimeString()}: away for {secondsOf(outage)} s, {outage.waited}{' '}
              {outage.waited === 1 ? 'event' : 'events'} waited for it
            </li>
          ))}
        </ol>
      )}
    </section>
  )
}

function secondsOf({ from, to = Date.now() }: Outage): number {
  return Math.max(0, Math.round((to - from) / 1_000))
}

function eventsText(count: number): string {
  return count === 1 ? '1 event waits' : `${count} events wait`
}
