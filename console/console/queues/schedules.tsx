/** The schedules of a queue: what each adds, its next five times, run now, remove. */

import { useState } from 'preact/hooks'
import type { Schedule, SchedulesPage } from '../../../shared/queues.ts'
import { Act } from '../frame/confirm.tsx'
import { part } from '../hub/http.ts'
import type { Session } from '../hub/session.ts'
import { useLook } from '../hub/useLook.ts'
import { count, duration, moment } from '../hub/words.ts'

/** With their drafts, which may be large. */
const PAGE = 20
const LOOK_MS = 4_000

interface SchedulesProps {
  readonly session: Session
  readonly queue: string
}

export function Schedules({ session, queue }: SchedulesProps) {
  const [pages, setPages] = useState<readonly string[]>([])
  const after = pages.at(-1)
  const path = `/queues/${part(queue)}/schedules`
  const behind = after === undefined ? '' : `&after=${part(after)}`
  const look = useLook<SchedulesPage>(session, `${path}?limit=${PAGE}${behind}`, LOOK_MS)
  const page = look.value
  if (page === undefined) return <p class="soft">{look.problem === '' ? 'Looking …' : look.problem}</p>
  const { schedules, next } = page
  return (
    <section aria-label="Schedules">
      {schedules.length === 0 ? (
        <p class="panel soft">
          No schedule adds jobs here. Programs make one with <code>queue.schedule(name, …)</code>.
        </p>
      ) : (
        <Table session={session} path={path} schedules={schedules} done={look.again} />
      )}
      <p class="buttons">
        {pages.length > 0 && (
          <button type="button" class="small" onClick={() => setPages(pages.slice(0, -1))}>
            Back
          </button>
        )}
        {next !== undefined && (
          <button type="button" class="small" onClick={() => setPages([...pages, next])}>
            Further
          </button>
        )}
        {look.problem !== '' && <span class="soft">{look.problem}</span>}
      </p>
    </section>
  )
}

interface TableProps {
  readonly session: Session
  readonly path: string
  readonly schedules: readonly Schedule[]
  readonly done: () => void
}

function Table({ session, path, schedules, done }: TableProps) {
  return (
    <div class="list flat cursors">
      <table>
        <thead>
          <tr>
            <th scope="col">schedule</th>
            <th scope="col">due next</th>
            <th scope="col" class="wide">
              last
            </th>
            <th scope="col">fired</th>
            <th scope="col" class="wide">
              missed
            </th>
            <th scope="col">
              <span class="hidden">acts</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {schedules.map((schedule) => (
            <tr key={schedule.name}>
              <td>
                {schedule.name} <span class="soft">{whenOf(schedule)}</span>
              </td>
              <td>
                <Times of={schedule} />
              </td>
              <td class="wide">{schedule.lastAt === null ? '–' : moment(schedule.lastAt)}</td>
              <td>{count(schedule.fired)}</td>
              <td class="wide">{count(schedule.missedCount)}</td>
              <td>
                <ScheduleActs session={session} path={path} schedule={schedule} done={done} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function whenOf({ cron, everyMs, timeZone = 'UTC' }: Schedule): string {
  return everyMs === undefined ? `${cron} ${timeZone}` : `every ${duration(everyMs)}`
}

/** The first one, and on demand those behind it. */
function Times({ of: { name, next } }: { readonly of: Schedule }) {
  const [first, ...rest] = next
  if (first === undefined) return <>it is over</>
  if (rest.length === 0) return <>{moment(first)}</>
  return (
    <details>
      <summary>{moment(first)}</summary>
      <ol aria-label={`Next times of ${name}`}>
        {next.map((at) => (
          <li key={at}>{moment(at)}</li>
        ))}
      </ol>
    </details>
  )
}

interface ScheduleActsProps {
  readonly session: Session
  readonly path: string
  readonly schedule: Schedule
  readonly done: () => void
}

function ScheduleActs({ session, path, schedule: { queue, name }, done }: ScheduleActsProps) {
  const isAllowed = session.may('admin', queue)
  const own = `${path}/${part(name)}`
  const run = async () => {
    const { id } = await session.http.ask<{ readonly id: string }>('POST', `${own}/run`)
    done()
    return `added job ${id}`
  }
  const remove = async () => {
    await session.http.ask('DELETE', own)
    done()
    return 'removed'
  }
  return (
    <span class="acts">
      <Act title="Run now" verb="Add a job" isAllowed={isAllowed} act={run}>
        <p>
          Adds a job of <strong>{name}</strong> to {queue} now. Its next times stay as they are.
        </p>
      </Act>
      <Act title="Remove" verb="Remove it" isAllowed={isAllowed} isGrave act={remove}>
        <p>
          Removes <strong>{name}</strong>: it adds no more jobs to {queue}. Those that it has added stay. A program that
          puts it at its start makes it anew.
        </p>
      </Act>
    </span>
  )
}
