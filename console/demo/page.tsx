/** The whole page: the story in a line, its steps, the panels, and how to do the same from a program. */

import type { Signal } from '@preact/signals'
import { Mark } from '../mark.tsx'
import type { Ledger } from './ledger.ts'
import type { Publisher } from './publisher.ts'
import { PublisherPanel } from './publisherPanel.tsx'
import type { Subscriber } from './subscriber.ts'
import { SubscriberPanel } from './subscriberPanel.tsx'

export interface Model {
  readonly topic: string
  readonly ledger: Ledger
  readonly publisher: Publisher
  /** The one that can be cut off. */
  readonly fickle: Subscriber
  readonly steady: Subscriber
}

/** Draws the model anew whenever `frame` changes. */
export function Page({ model, frame }: { model: Model; frame: Signal<number> }) {
  frame.value
  const { topic, ledger, publisher, fickle, steady } = model
  return (
    <>
      <header class="top">
        <p class="wordmark">
          <Mark />
          Reprise
        </p>
        <h1>Cut a subscriber off. Publish. Bring it back.</h1>
        <p class="claim">It gets exactly what it missed: in order, once.</p>
        <Steps model={model} />
      </header>
      <main>
        <PublisherPanel publisher={publisher} ledger={ledger} topic={topic} />
        <SubscriberPanel id="fickle" title="Subscriber one" subscriber={fickle} ledger={ledger} canBeCut />
        <SubscriberPanel id="steady" title="Subscriber two" subscriber={steady} ledger={ledger} canBeCut={false} />
      </main>
      <footer>
        <ul class="legend" aria-label="legend">
          <li class="live">came live</li>
          <li class="replayed">missed, then replayed</li>
          <li class="awaited">published, not here yet</li>
          <li class="lost">lost</li>
        </ul>
        <p>
          Each square is an event. The counts compare the offsets that the publish replies named with what came over
          each subscriber's own connection. The switch closes that connection's transport without a word to the hub.
        </p>
        <Recipe topic={topic} />
      </footer>
    </>
  )
}

function Steps({ model: { publisher, fickle } }: { model: Model }) {
  const { missed } = fickle.track.counts()
  const isBack = missed > 0 && !fickle.isCut && fickle.status.state === 'live'
  const steps = [
    { text: 'Publish', done: publisher.published > 0, run: () => publisher.publish(1) },
    { text: 'Cut the connection', done: fickle.isCut || missed > 0, run: () => fickle.cut(true) },
    { text: 'Publish more', done: missed > 0, run: () => publisher.publish(3) },
    { text: 'Connect again', done: isBack, run: () => fickle.cut(false) },
  ]
  const next = steps.findIndex(({ done }) => !done)
  return (
    <ol class="steps">
      {steps.map(({ text, done, run }, i) => (
        <li key={text} class={done ? 'done' : ''} aria-current={i === next ? 'step' : undefined}>
          <button type="button" onClick={run}>
            {text}
          </button>
        </li>
      ))}
    </ol>
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
