/** One job: why it is where it is, what happened to it, what is in it, and what can be done with it. */

import { useState } from 'preact/hooks'
import { messageOf } from '../../../shared/errors.ts'
import { Act } from '../frame/confirm.tsx'
import { Fact } from '../frame/fact.tsx'
import { ask, linkHere, linkTo, route } from '../frame/route.ts'
import { part } from '../hub/http.ts'
import type { Session } from '../hub/session.ts'
import { useLook } from '../hub/useLook.ts'
import { duration, moment } from '../hub/words.ts'
import type { Job } from './jobInfo.ts'
import { isOver } from './jobs.tsx'
import { Progress } from './progress.tsx'

interface Explained extends Job {
  /** Of one that has not ended. */
  readonly why?: readonly {
    readonly reason: string
    readonly text: string
    readonly until?: number
    readonly job?: string
  }[]
  readonly subject: string
  readonly ttlAt?: number
  readonly history: readonly {
    readonly at: number
    readonly what: string
    readonly holder?: { readonly client: string }
    readonly why?: string
  }[]
}

const WHAT: Readonly<Record<string, string>> = {
  retry: 'an attempt failed',
  lapsed: 'its lease lapsed',
  suspect: 'its consumer was lost while it held this job and others',
  release: 'it was given back',
  dead: 'it went to the dead letters',
  redriven: 'it was brought back',
  run: 'it was made ready by hand',
}

interface JobPageProps {
  readonly session: Session
  readonly queue: string
  readonly id: string
}

export function JobPage({ session, queue, id }: JobPageProps) {
  const look = useLook<Explained>(session, `/queues/${part(queue)}/jobs/${part(id)}`)
  const job = look.value
  return (
    <section class="panel" aria-label={`Job ${id}`}>
      <header>
        <h2>Job {id}</h2>
        <button type="button" class="small" onClick={() => ask({ job: undefined })}>
          Back to the list
        </button>
      </header>
      {look.problem !== '' && (
        <p class="problem" role="alert">
          {look.problem}
        </p>
      )}
      {job === undefined ? (
        <p class="soft">{look.problem === '' ? 'Looking …' : ''}</p>
      ) : (
        <Told session={session} queue={queue} job={job} again={look.again} />
      )}
    </section>
  )
}

interface ToldProps {
  readonly session: Session
  readonly queue: string
  readonly job: Explained
  /** Looks at once. */
  readonly again: () => void
}

/** Another job, or the list, unless the person has gone elsewhere meanwhile. */
function lookAt(from: string, job: string | undefined): void {
  if (route.value.query.get('job') === from) ask({ job })
}

function Told({ session, queue, job, again }: ToldProps) {
  const isAdmin = session.may('admin', queue)
  const remove = async () => {
    await session.http.ask('DELETE', `/queues/${part(job.queue)}/jobs/${part(job.id)}`)
    lookAt(job.id, undefined)
    return 'removed'
  }
  const runNow = async () => {
    await session.http.ask('POST', `/queues/${part(job.queue)}/jobs/${part(job.id)}/run`)
    again()
    return 'it is ready'
  }
  return (
    <>
      <ul class="why" aria-label="Why it is where it is">
        {(job.why ?? []).map(({ reason, text, until, job: other }) => (
          <li key={reason}>
            {text}
            {until !== undefined && `, until ${moment(until)}`}
            {other !== undefined && (
              <>
                {' '}
                <a href={linkHere({ job: other })}>look at {other}</a>
              </>
            )}
          </li>
        ))}
      </ul>
      <dl class="line">
        <Fact name="state" value={job.state} />
        <Fact
          name="attempts"
          value={job.maxAttempts === undefined ? String(job.attempts) : `${job.attempts} of ${job.maxAttempts}`}
        />
        {job.runMs !== undefined && <Fact name="runs at most" value={duration(job.runMs)} />}
        <Fact name="deliveries" value={String(job.deliveries)} />
        <Fact name="priority" value={String(job.priority)} />
        <Fact name="sent by" value={job.subject} />
        {job.key !== undefined && <Fact name="key" value={job.key} />}
        {job.group !== undefined && <Fact name="group" value={job.group} />}
        {job.children !== undefined && (
          <Fact name="children" value={`${job.children.count}, ${job.children.open} have not ended`} />
        )}
        {job.parent !== undefined && (
          <Fact
            name="parent"
            value={<a href={linkTo('queues', job.parentQueue ?? queue, { job: job.parent })}>{job.parent}</a>}
          />
        )}
        {job.startedAt !== undefined && <Fact name="started" value={moment(job.startedAt)} />}
        {job.endedAt !== undefined && <Fact name="ended" value={moment(job.endedAt)} />}
        {job.dueAt !== undefined && <Fact name="due" value={moment(job.dueAt)} />}
        {job.ttlAt !== undefined && <Fact name="expires" value={moment(job.ttlAt)} />}
        {Object.entries(job.headers ?? {}).map(([name, value]) => (
          <Fact key={name} name={name} value={value} />
        ))}
      </dl>
      <h3>What happened to it</h3>
      <ol class="happenings">
        <li class="info">
          <time>{moment(job.sentAt)}</time>
          <p>it was sent</p>
        </li>
        {job.history.map(({ at, what, holder, why }, i) => (
          <li key={i} class={what === 'dead' ? 'error' : 'warn'}>
            <time>{moment(at)}</time>
            <p>
              {WHAT[what] ?? what}
              {holder !== undefined && ` at ${holder.client}`}
              {why !== undefined && `: ${why}`}
            </p>
          </li>
        ))}
      </ol>
      <Progress job={job} />
      {job.error !== undefined && isOver(job.state) && <p class="problem">{job.error}</p>}
      {job.state === 'dead' && isEditable(job) ? (
        <Edit session={session} queue={queue} job={job} />
      ) : isOver(job.state) ? (
        job.state === 'done' && <pre>{JSON.stringify(job.result, null, 2) ?? 'no result'}</pre>
      ) : (
        <Data job={job} />
      )}
      <p class="buttons">
        {job.state === 'delayed' && (
          <Act title="Run now" verb="Make it ready" isAllowed={isAdmin} act={runNow}>
            <p>
              Makes job <strong>{job.id}</strong> ready at once, in place of {moment(job.dueAt ?? 0)}. Attempts stay as
              they are.
            </p>
          </Act>
        )}
        {!isOver(job.state) && (
          <Act title="Remove" verb="Remove it" isAllowed={isAdmin && job.state !== 'held'} isGrave act={remove}>
            <p>
              Removes job <strong>{job.id}</strong>. Nobody will work on it. This cannot be taken back.
            </p>
          </Act>
        )}
      </p>
    </>
  )
}

/** What has bytes in it cannot be sent over HTTP as it is, and of a damaged one nothing is left. */
function isEditable(job: Job): boolean {
  return 'data' in job && job.binary === undefined
}

function Data({ job }: { readonly job: Job }) {
  if ('base64' in job) return <pre>binary: {job.base64}</pre>
  if (!('data' in job)) return <p class="problem">Its record is damaged: what was in it is lost.</p>
  const ways = job.binary?.map((way) => way.join('.')) ?? []
  return (
    <>
      <pre>{JSON.stringify(job.data, null, 2)}</pre>
      {ways.length > 0 && <p class="soft">Bytes, shown as base64: {ways.join(', ')}</p>}
    </>
  )
}

/** A dead letter, changed and sent again as a new job. */
function Edit({ session, queue, job }: { readonly session: Session; readonly queue: string; readonly job: Explained }) {
  const [text, setText] = useState(JSON.stringify(job.data, null, 2) ?? 'null')
  const isAllowed = session.may('send', queue) && session.may('admin', queue)
  const send = async () => {
    let data: unknown
    try {
      data = JSON.parse(text)
    } catch (error) {
      throw new Error(`the data is no JSON: ${messageOf(error)}`)
    }
    const { key, group, headers, priority, maxAttempts, backoff, runMs, keepDone } = job
    const draft = {
      data,
      priority,
      ...(maxAttempts === undefined ? {} : { attempts: maxAttempts }),
      ...(backoff === undefined ? {} : { backoff }),
      ...(runMs === undefined ? {} : { runMs }),
      ...(keepDone === undefined ? {} : { keepDone }),
      ...(key === undefined ? {} : { key }),
      ...(group === undefined ? {} : { group }),
      ...(headers === undefined ? {} : { headers }),
    }
    const { ids } = await session.http.ask<{ ids: string[] }>('POST', `/queues/${part(queue)}/jobs`, draft)
    // Behind the sending: what fails in between leaves the dead letter where it is.
    await session.http.ask('DELETE', `/queues/${part(job.queue)}/jobs/${part(job.id)}`)
    lookAt(job.id, ids[0])
    return 'sent'
  }
  return (
    <div class="box">
      <label>
        Data
        <textarea
          rows={6}
          value={text}
          spellcheck={false}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
        />
      </label>
      <p class="buttons">
        <Act title="Send again as edited" verb="Send it" isAllowed={isAllowed} act={send}>
          <p>Sends this as a new job at the end of the queue, and removes the dead letter.</p>
          <pre>{text}</pre>
        </Act>
      </p>
    </div>
  )
}
