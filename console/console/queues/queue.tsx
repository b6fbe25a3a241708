/** One queue: its numbers, its jobs, its dead letters, its bindings and settings. */

import { Act } from '../frame/confirm.tsx'
import { Fact } from '../frame/fact.tsx'
import { Head } from '../frame/head.tsx'
import { go, linkTo, route } from '../frame/route.ts'
import { Tabs, viewOf } from '../frame/tabs.tsx'
import { part } from '../hub/http.ts'
import type { Session } from '../hub/session.ts'
import { useLook } from '../hub/useLook.ts'
import { bytes, count, duration, moment, plural } from '../hub/words.ts'
import { Settings } from '../topics/settings.tsx'
import { QueueConsumers } from './consumers.tsx'
import { DeadLetters } from './deadLetters.tsx'
import { effectsOf } from './effects.ts'
import { JobPage } from './job.tsx'
import { Jobs } from './jobs.tsx'
import { Rates } from './rates.tsx'
import { Schedules } from './schedules.tsx'

interface QueueInfo {
  readonly counts: Readonly<
    Record<'sent' | 'ready' | 'delayed' | 'held' | 'waiting' | 'done' | 'dead' | 'removed', number>
  >
  readonly bytes: number
  readonly oldestReadyMs: number | null
  readonly consumers: number
  readonly paused: boolean
  readonly tripped?: { readonly at: number; readonly dead: number; readonly ended: number }
  readonly lifeFull?: { readonly events: number }
  readonly bindings: readonly {
    readonly topic: string
    readonly position: { readonly offset: number }
    readonly behind: number
  }[]
}

const VIEWS = {
  jobs: 'Jobs',
  dead: 'Dead letters',
  consumers: 'Consumers',
  rates: 'Rates',
  schedules: 'Schedules',
  bindings: 'Bindings',
  settings: 'Settings',
} as const

export function QueuePage({ session, queue }: { readonly session: Session; readonly queue: string }) {
  const path = `/queues/${part(queue)}`
  const look = useLook<QueueInfo>(session, path)
  const view = viewOf(VIEWS)
  const job = route.value.query.get('job')
  const info = look.value
  const dead = info?.counts.dead ?? 0
  const isAdmin = session.may('admin', queue)
  return (
    <>
      <Head of={{ page: 'queues', title: 'Queues' }} name={queue} problem={look.problem} />
      {info !== undefined && <Facts info={info} />}
      {info?.paused && (
        <p class="banner">
          This queue is paused: jobs are taken in, and none is handed out.
          {info.tripped !== undefined &&
            ` It paused itself ${moment(info.tripped.at)}: ${count(info.tripped.dead)} of ${count(info.tripped.ended)} jobs went to the dead letters within a minute.`}
        </p>
      )}
      {info?.lifeFull !== undefined && (
        <p class="banner">
          {count(info.lifeFull.events)} events of this queue's life wait to be moved to its topic: until they are, no
          jobs are taken in, and none is handed out. The activity says what holds them up.
        </p>
      )}
      {!isAdmin && (
        <p class="soft">
          You may look: changes need <code>admin</code> on {queue}.
        </p>
      )}
      <Tabs name={queue} views={VIEWS} view={view} notes={{ dead: dead > 0 ? ` (${count(dead)})` : '' }}>
        {info !== undefined && <QueueActs session={session} queue={queue} info={info} done={look.again} />}
      </Tabs>
      {job !== null && <JobPage key={job} session={session} queue={queue} id={job} />}
      {job === null && view === 'jobs' && <Jobs session={session} queue={queue} />}
      {job === null && view === 'dead' && <DeadLetters session={session} queue={queue} dead={dead} done={look.again} />}
      {job === null && view === 'consumers' && (
        <QueueConsumers session={session} queue={queue} all={info?.consumers ?? 0} />
      )}
      {job === null && view === 'rates' && <Rates session={session} queue={queue} />}
      {job === null && view === 'schedules' && <Schedules session={session} queue={queue} />}
      {job === null && view === 'bindings' && <Bindings info={info} />}
      {job === null && view === 'settings' && (
        <Settings session={session} path={path} name={queue} effects={effectsOf} />
      )}
    </>
  )
}

function Facts({ info: { counts, bytes: size, oldestReadyMs, consumers } }: { readonly info: QueueInfo }) {
  return (
    <dl class="line">
      <Fact name="ready" value={count(counts.ready)} />
      <Fact name="oldest ready" value={oldestReadyMs === null ? '–' : duration(oldestReadyMs)} />
      <Fact name="delayed" value={count(counts.delayed)} />
      <Fact name="held" value={count(counts.held)} />
      {counts.waiting > 0 && <Fact name="waiting for children" value={count(counts.waiting)} />}
      <Fact name="dead" value={count(counts.dead)} />
      <Fact name="done" value={count(counts.done)} />
      <Fact name="removed" value={count(counts.removed)} />
      <Fact name="consumers" value={count(consumers)} />
      <Fact name="size" value={bytes(size)} />
    </dl>
  )
}

interface QueueActsProps {
  readonly session: Session
  readonly queue: string
  readonly info: QueueInfo
  readonly done: () => void
}

function QueueActs({ session, queue, info: { paused, counts, consumers }, done }: QueueActsProps) {
  const path = `/queues/${part(queue)}`
  const isAllowed = session.may('admin', queue)
  const waiting = counts.ready + counts.delayed + counts.waiting
  const pause = async () => {
    await session.http.ask('POST', `${path}/${paused ? 'resume' : 'pause'}`)
    done()
    return paused ? 'jobs are handed out again' : 'paused'
  }
  const purge = async () => {
    const { removed } = await session.http.ask<{ removed: number }>('POST', `${path}/purge`)
    done()
    return `${plural(removed, 'job')} removed`
  }
  const drop = async () => {
    await session.http.ask('DELETE', path)
    go(linkTo('queues'))
    return ''
  }
  return (
    <div class="acts">
      <Act
        title={paused ? 'Resume' : 'Pause'}
        verb={paused ? 'Resume it' : 'Pause it'}
        isAllowed={isAllowed}
        act={pause}
      >
        {paused ? (
          <p>
            Hands out jobs of <strong>{queue}</strong> again: {count(counts.ready)} are ready, for{' '}
            {plural(consumers, 'consumer')}.
          </p>
        ) : (
          <p>
            Hands out no more jobs of <strong>{queue}</strong>, on no node. {count(counts.held)} held ones go on, and
            new ones are taken in.
          </p>
        )}
      </Act>
      <Act title="Purge" verb="Remove them" isAllowed={isAllowed} isGrave act={purge}>
        <p>
          Removes the {plural(waiting, 'job')} of <strong>{queue}</strong> that wait now, ready, delayed or for their
          children. Held ones and dead letters stay. This cannot be taken back.
        </p>
      </Act>
      <Act title="Drop the queue" verb="Drop it" isAllowed={isAllowed} isGrave act={drop}>
        <p>
          Drops <strong>{queue}</strong> with its counts, its finished jobs and what its senders are remembered by. It
          must have no jobs, dead letters, consumers, bindings and schedules. This cannot be taken back; its settings
          stay.
        </p>
      </Act>
    </div>
  )
}

function Bindings({ info }: { readonly info: QueueInfo | undefined }) {
  if (info === undefined) return <p class="soft">Looking …</p>
  if (info.bindings.length === 0) {
    return (
      <p class="panel soft">
        No topic is bound to this queue. Its settings can name some with <code>from</code>.
      </p>
    )
  }
  return (
    <div class="list flat">
      <table>
        <thead>
          <tr>
            <th scope="col">topic</th>
            <th scope="col">copied up to</th>
            <th scope="col">behind</th>
          </tr>
        </thead>
        <tbody>
          {info.bindings.map(({ topic, position, behind }) => (
            <tr key={topic}>
              <td>
                <a href={linkTo('topics', topic)}>{topic}</a>
              </td>
              <td>{count(position.offset)}</td>
              <td>{count(behind)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
