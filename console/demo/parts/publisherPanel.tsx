/** The publisher's controls and what the replies said last. */

import type { ComponentChildren } from 'preact'
import type { Ledger } from '../counting/ledger.ts'
import type { Publisher } from './publisher.ts'
import { Strip } from './strip.tsx'

const RATES = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500]
const BURST = 300

interface PublisherPanelProps {
  readonly publisher: Publisher
  readonly ledger: Ledger
  readonly topic: string
  /** How many the second button publishes. */
  readonly burst?: number
  /** Further facts and controls. */
  readonly children?: ComponentChildren
}

export function PublisherPanel({ publisher, ledger, topic, burst = BURST, children }: PublisherPanelProps) {
  const { perSecond, published, unanswered, last, problem } = publisher
  const rate = perSecond === 0 ? 'off' : `${perSecond} a second`
  const { receipts } = ledger
  return (
    <section class="panel publisher" aria-labelledby="publisher">
      <header>
        <h2 id="publisher">Publisher</h2>
        <span class="name">topic {topic}</span>
      </header>
      <div class="buttons">
        <button type="button" class="primary" data-test="one" onClick={() => publisher.publish(1)}>
          Publish one
        </button>
        <button type="button" data-test="burst" onClick={() => publisher.publish(burst)}>
          Burst of {burst}
        </button>
      </div>
      <div class="rate">
        <label for="rate">Steady</label>
        <output for="rate" data-test="rate">
          {rate}
        </output>
        <input
          id="rate"
          type="range"
          min="0"
          max={RATES.length - 1}
          step="1"
          value={Math.max(0, RATES.indexOf(perSecond))}
          aria-valuetext={rate}
          onInput={({ currentTarget }) => publisher.setRate(RATES[Number(currentTarget.value)] ?? 0)}
        />
      </div>
      <Strip
        head={receipts.max}
        label={`${published} events published`}
        markOf={(offset) => (receipts.has(offset) ? 'live' : undefined)}
      />
      <dl class="facts">
        <div>
          <dt>published</dt>
          <dd data-test="published">{published}</dd>
        </div>
        <div>
          <dt>awaiting a reply</dt>
          <dd data-test="unanswered">{unanswered}</dd>
        </div>
        <div>
          <dt>last offset</dt>
          <dd data-test="last-offset">{last?.offset ?? '–'}</dd>
        </div>
        <div>
          <dt>kept by</dt>
          <dd>{last?.durability ?? '–'}</dd>
        </div>
      </dl>
      {publisher.isThrough && (
        <p class="hint-line">The page publishes no more than {publisher.most} events here. Load it again to go on.</p>
      )}
      {children}
      {problem !== undefined && (
        <p class="problem" role="alert">
          {problem.code}: {problem.message}
        </p>
      )}
    </section>
  )
}
