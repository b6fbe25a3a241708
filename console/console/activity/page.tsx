/** What happened of late, in words: the newest first, each with a link to what it is about. */

import { useEffect, useState } from 'preact/hooks'
import type { ActivityQuery, Happening } from '../../../shared/console/happenings.ts'
import { messageOf } from '../../../shared/errors.ts'
import { ask, linkTo, route } from '../frame/route.ts'
import type { Session } from '../hub/session.ts'
import { moment } from '../hub/words.ts'
import { type About, CHOICES } from './choices.ts'
import { sentenceOf } from './sentence.ts'

const EVERYTHING: ActivityQuery = {}

export function ActivityPage({ session }: { readonly session: Session }) {
  const asked = route.value.query.get('about')
  const about = (Object.keys(CHOICES) as About[]).find((known) => known === asked)
  const chosen = about === undefined ? undefined : CHOICES[about]
  const { happenings, problem } = useHappenings(session, chosen?.query ?? EVERYTHING)
  return (
    <>
      <h1>Activity</h1>
      <p class="soft">What this node has seen since it started, newest first. Repeats within a minute are one line.</p>
      <fieldset class="choice">
        <legend>Show</legend>
        <Choice name="everything" isOn={about === undefined} choose={() => ask({ about: undefined })} />
        {(Object.keys(CHOICES) as About[]).map((one) => (
          <Choice key={one} name={CHOICES[one].name} isOn={one === about} choose={() => ask({ about: one })} />
        ))}
      </fieldset>
      <Happenings happenings={happenings} problem={problem} empty={chosen?.empty} />
    </>
  )
}

interface ChoiceProps {
  readonly name: string
  readonly isOn: boolean
  readonly choose: () => void
}

function Choice({ name, isOn, choose }: ChoiceProps) {
  return (
    <button type="button" class="small" aria-pressed={isOn} onClick={choose}>
      {name}
    </button>
  )
}

interface Heard {
  readonly happenings?: readonly Happening[]
  readonly problem: string
}

const NOTHING: Heard = { problem: '' }

/** The same `query` each time, or it is asked again. */
export function useHappenings(session: Session, query: ActivityQuery): Heard {
  const [heard, setHeard] = useState<Heard & { readonly of?: ActivityQuery }>(NOTHING)
  const newest = session.summary.value?.happened
  useEffect(() => {
    if (newest === undefined) return
    let isOver = false
    session.call<readonly Happening[]>('activity', query).then(
      (happenings) => {
        if (!isOver) setHeard({ happenings, problem: '', of: query })
      },
      (error: unknown) => {
        // What was shown last stays while the hub is away.
        if (!isOver && session.awaySince.value === undefined) setHeard({ problem: messageOf(error), of: query })
      },
    )
    return () => {
      isOver = true
    }
  }, [session, newest, query])
  return heard.of === query ? heard : NOTHING
}

interface HappeningsProps {
  readonly happenings: readonly Happening[] | undefined
  readonly problem: string
  readonly empty?: string | undefined
}

export function Happenings({ happenings, problem, empty }: HappeningsProps) {
  if (problem !== '') {
    return (
      <p class="problem" role="alert">
        {problem}
      </p>
    )
  }
  if (happenings === undefined) return <p class="soft">Looking …</p>
  if (happenings.length === 0) return <p class="soft">{empty ?? 'Nothing happened that you would have to act on.'}</p>
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

function Subject({ happening: { kind, details } }: { readonly happening: Happening }) {
  const { topic, queue } = details
  if (typeof topic === 'string') return <a href={linkTo('topics', topic)}>topic {topic}</a>
  if (typeof queue !== 'string') return null
  const isDead = kind === 'deadLetters'
  const name = queue.replace(/\/dead$/, '')
  return (
    <a href={linkTo('queues', name, isDead ? { view: 'dead' } : {})}>
      {isDead ? `dead letters of ${name}` : `queue ${name}`}
    </a>
  )
}
