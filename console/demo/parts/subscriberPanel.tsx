/** One subscriber as it is seen: state, switch, picture, counts, verdict and the latest events. */

import type { ComponentChildren } from 'preact'
import type { Status } from '../../../client/index.ts'
import type { Ledger, Track } from '../counting/ledger.ts'
import { stateWord, verdictOf } from '../counting/verdict.ts'
import type { Feed, Line } from './feed.ts'
import { Strip } from './strip.tsx'
import { Switch } from './switch.tsx'

/** What is shown of a subscriber. */
interface Shown {
  readonly name: string
  readonly track: Track
  readonly feed: Feed
  readonly status: Status
  readonly isCut: boolean
}

interface SubscriberPanelProps {
  readonly id: string
  readonly title: string
  readonly subscriber: Shown
  readonly ledger: Ledger
  /** A switch, if it has one. */
  readonly control?: ComponentChildren
  /** In the place of a switch. */
  readonly children?: ComponentChildren
  /** More about it, behind the verdict. */
  readonly facts?: ComponentChildren
}

export function SubscriberPanel({ id, title, subscriber, ledger, control, children, facts }: SubscriberPanelProps) {
  const { track, status, isCut, name, feed } = subscriber
  const counts = track.counts()
  const verdict = verdictOf(counts, status, isCut)
  const lines = feed.newest
  const isLive = status.state === 'live' && !isCut
  const progress = status.state === 'catching-up' && status.total > 0 ? status : undefined
  return (
    <section class="panel subscriber" data-test={id} data-state={isCut ? 'cut' : status.state} aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        <span class="name">{name}</span>
        <span class={`state ${isLive ? 'is-live' : ''}`} role="status" data-test="state">
          {stateWord(status, isCut)}
        </span>
      </header>
      {control ?? <p class="stays">{children}</p>}
      <Strip
        head={Math.max(track.last, ledger.receipts.max)}
        label={`${counts.here} of ${counts.published} events are here`}
        markOf={(offset) => track.mark(offset)}
      />
      <dl class="counts">
        <Count name="missed" value={counts.missed} />
        <Count name="replayed" value={counts.replayed} look="back" />
        <Count name="lost" value={counts.lost} look="fault" />
        <Count name="twice" value={counts.twice} look="fault" />
      </dl>
      <p class={`verdict ${verdict.tone}`} data-test="verdict">
        {verdict.text}
      </p>
      {facts}
      <progress
        class={progress === undefined ? 'idle' : ''}
        max={progress?.total ?? 1}
        value={progress?.done ?? 0}
        aria-label="replay"
      />
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a list that scrolls has to be reached by keyboard */}
      <ol class="feed" tabIndex={0} aria-label={`latest events of ${title}`} data-test="feed">
        {lines.length === 0 && <li class="empty">Events will stand here, the newest first.</li>}
        {lines.map((line) => (
          <FeedLine key={line.key} line={line} />
        ))}
      </ol>
    </section>
  )
}

/** Cuts the transport of a subscriber, and brings it back. */
export function CutSwitch({ isCut, cut }: { isCut: boolean; cut: (isCut: boolean) => void }) {
  return <Switch label="Cut the connection" isOn={isCut} hint="switch back to connect" turn={cut} />
}

function Count({ name, value, look = '' }: { name: string; value: number; look?: 'back' | 'fault' | '' }) {
  return (
    <div class={value === 0 ? 'zero' : look}>
      <dt>{name}</dt>
      <dd data-test={name}>{value}</dd>
    </div>
  )
}

function FeedLine({ line }: { line: Line }) {
  switch (line.kind) {
    case 'event':
      return (
        <li class={line.mark} data-offset={line.offset}>
          <span class="offset">{line.offset}</span>
          <span class="text">{line.text}</span>
          <span class="mark">{line.again ? 'again' : line.mark}</span>
        </li>
      )
    case 'gap':
      return <li class="gap">{gapLine(line.gap)}</li>
    case 'cut':
    case 'back':
      return <li class="note">{line.text}</li>
  }
}

function gapLine({ from, to, count, reason }: Extract<Line, { kind: 'gap' }>['gap']): string {
  if (from === null || to === null)
    return `gap: how many events are gone is not known (${reason}); counting starts again`
  if (count === 0) return `the topic begins anew, nothing is gone (${reason})`
  return `gap: ${from}–${to}, ${count ?? to - from + 1} events are gone (${reason})`
}
