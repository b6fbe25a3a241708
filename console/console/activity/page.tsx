/** What happened of late, in words: the newest first, each with a link to what it is about. */

import { useEffect, useState } from 'preact/hooks'
import type { Happening } from '../../../shared/console/protocol.ts'
import { linkTo } from '../frame/route.ts'
import type { Session } from '../hub/session.ts'
import { moment } from '../hub/words.ts'
import { sentenceOf } from './sentence.ts'

export function ActivityPage({ session }: { readonly session: Session }) {
  const happenings = useHappenings(session)
  return (
    <>
      <h1>Activity</h1>
      <p class="soft">What this node has seen since it began, alike things of a minute together. The newest first.</p>
      <Happenings happenings={happenings} />
    </>
  )
}

export function useHappenings(session: Session, limit?: number): readonly Happening[] | undefined {
  const [happenings, setHappenings] = useState<readonly Happening[] | undefined>(undefined)
  const newest = session.summary.value?.happened
  useEffect(() => {
    if (newest === undefined) return
    session.call<readonly Happening[]>('activity', limit === undefined ? {} : { limit }).then(setHappenings, () => {})
  }, [session, newest, limit])
  return happenings
}

export function Happenings({ happenings }: { readonly happenings: readonly Happening[] | undefined }) {
  if (happenings === undefined) return <p class="soft">Looking …</p>
  if (happenings.length === 0) return <p class="soft">Nothing happened that you would have to act on.</p>
  return (
    <ol class="happenings">
      {happenings.map((happening) => (
        <li key={happening.number} class={happening.level}>
          <time dateTime={new Date(happening.at).toISOString()}>{moment(happening.at)}</time>
          <div>
            <p>{sentenceOf(happening)}</p>
            <Subject happening={happening} />
          </div>
          {happening.times > 1 && <span class="times">{happening.times} times</span>}
        </li>
      ))}
    </ol>
  )
}

function Subject({ happening: { details } }: { readonly happening: Happening }) {
  const { topic, queue } = details
  if (typeof topic === 'string') return <a href={linkTo('topics', topic)}>topic {topic}</a>
  if (typeof queue === 'string') return <a href={linkTo('queues', queue.replace(/\/dead$/, ''))}>queue {queue}</a>
  return null
}
