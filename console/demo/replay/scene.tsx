/** The first scene: a subscriber is cut off and gets what it missed, beside one over plain Socket.IO that does not. */

import { Ledger } from '../counting/ledger.ts'
import { Legend, SceneHead } from '../parts/head.tsx'
import { Publisher } from '../parts/publisher.ts'
import { PublisherPanel } from '../parts/publisherPanel.tsx'
import { Subscriber } from '../parts/subscriber.ts'
import { CutSwitch, SubscriberPanel } from '../parts/subscriberPanel.tsx'
import type { Scene } from '../scene.ts'
import { PlainLane } from './plainLane.ts'

const PLAY_PER_SECOND = 5
/** A tab that is forgotten does not publish for ever. */
const PLAY_MS = 180_000

export const replay: Scene = {
  name: 'replay',
  title: 'Replay',
  begin(visit, changed) {
    const { tab, base: topic } = visit
    const ledger = new Ledger()
    const publisher = new Publisher(visit.connect(), topic, ledger, changed)
    const fickle = new Subscriber(visit, { client: `one-${tab}`, topic }, ledger, changed)
    const plain = new PlainLane(visit, topic, ledger, changed)
    const steady = new Subscriber(visit, { client: `two-${tab}`, topic }, ledger, changed)
    if (visit.plays) publisher.setRate(PLAY_PER_SECOND)
    const rest = setTimeout(() => {
      if (visit.plays && publisher.perSecond === PLAY_PER_SECOND) publisher.setRate(0)
    }, PLAY_MS)
    const cut = (isCut: boolean): void => {
      fickle.cut(isCut)
      plain.cut(isCut)
    }
    return {
      draw: () => (
        <>
          <Head publisher={publisher} fickle={fickle} cut={cut} />
          <div class="lanes four">
            <PublisherPanel publisher={publisher} ledger={ledger} topic={topic} />
            <SubscriberPanel
              id="fickle"
              title="Subscriber one"
              subscriber={fickle}
              ledger={ledger}
              control={<CutSwitch isCut={fickle.isCut} cut={cut} />}
            />
            <SubscriberPanel id="plain" title="Plain Socket.IO" subscriber={plain} ledger={ledger}>
              {plain.missing ?? 'Cut together with subscriber one.'}
            </SubscriberPanel>
            <SubscriberPanel id="steady" title="Subscriber two" subscriber={steady} ledger={ledger}>
              Stays connected, to compare with.
            </SubscriberPanel>
          </div>
          <footer>
            <Legend />
            <p>
              Each square is an event. The counts compare the offsets that the publish replies named with what came over
              each subscriber's own connection. The switch closes that connection's transport without a word to the hub.
            </p>
            <p>
              The lane over plain Socket.IO has the same events from the same server. It gets what is sent while it is
              there. Nobody keeps its place, so nothing comes again, and nothing tells it that something is missing.
            </p>
            <Recipe topic={topic} />
          </footer>
        </>
      ),
      close() {
        clearTimeout(rest)
        for (const part of [publisher, fickle, plain, steady]) part.close()
      },
    }
  },
}

interface HeadProps {
  readonly publisher: Publisher
  readonly fickle: Subscriber
  readonly cut: (isCut: boolean) => void
}

function Head({ publisher, fickle, cut }: HeadProps) {
  const { missed } = fickle.track.counts()
  const isBack = missed > 0 && !fickle.isCut && fickle.status.state === 'live'
  return (
    <SceneHead
      title="Cut a subscriber off. Publish. Bring it back."
      claim="It gets exactly what it missed: in order, once."
      steps={[
        { text: 'Publish', done: publisher.published > 0, run: () => publisher.publish(1) },
        { text: 'Cut the connection', done: fickle.isCut || missed > 0, run: () => cut(true) },
        { text: 'Publish more', done: missed > 0, run: () => publisher.publish(3) },
        { text: 'Connect again', done: isBack, run: () => cut(false) },
      ]}
    />
  )
}

function Recipe({ topic }: { topic: string }) {
  const subscribe = `import { connect } from 'reprise-client'

const hub = connect('${location.origin}', { client: 'kitchen' })
hub.topic('${topic}').subscribe((event) => console.log(event.offset, event.data))`
  const publish = `curl ${location.origin}/v1/topics/${topic}/events \\
  -H 'content-type: application/json' -d '{"data":"hello from a terminal"}'`
  return (
    <details>
      <summary>The same from a program and from a terminal</summary>
      <pre>{subscribe}</pre>
      <pre>{publish}</pre>
    </details>
  )
}
