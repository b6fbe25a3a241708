/** The cursors of a topic: who is where, who lacks an offset, seek and forget. */

import { useState } from 'preact/hooks'
import { Act } from '../frame/confirm.tsx'
import { ask, linkTo, route } from '../frame/route.ts'
import { part } from '../hub/http.ts'
import type { Session } from '../hub/session.ts'
import { useLook } from '../hub/useLook.ts'
import { count, moment } from '../hub/words.ts'

interface Cursor {
  readonly subject: string
  readonly client: string
  readonly position: { readonly epoch: string; readonly offset: number }
  readonly usedAt: number
  readonly lag: number
}

interface CursorsProps {
  readonly session: Session
  readonly topic: string
  readonly last: number
}

const PAGE = 50

export function Cursors({ session, topic, last }: CursorsProps) {
  const behind = route.value.query.get('behind') ?? ''
  const [pages, setPages] = useState<readonly string[]>([])
  const after = pages.at(-1)
  const query = [
    `limit=${PAGE}`,
    ...(behind === '' ? [] : [`behind=${behind}`]),
    ...(after === undefined ? [] : [`after=${part(after)}`]),
  ]
  const path = `/topics/${part(topic)}/cursors`
  const isAdmin = session.may('admin', topic)
  if (!isAdmin)
    return (
      <p class="panel soft">
        Who is where is for who has <code>admin</code> on {topic}.
      </p>
    )
  return (
    <section aria-label="Cursors">
      <div class="filters">
        <label>
          who lacks offset
          <input
            type="number"
            min="1"
            value={behind}
            onInput={({ currentTarget }) => {
              setPages([])
              ask({ behind: currentTarget.value })
            }}
          />
        </label>
        <a href={linkTo('clients', undefined, { topic })}>Who is connected to it now</a>
      </div>
      <CursorPage
        session={session}
        topic={topic}
        path={path}
        query={query.join('&')}
        last={last}
        empty={behind === '' ? 'No client has a cursor here.' : `Every client has seen ${behind}.`}
        back={pages.length === 0 ? undefined : () => setPages(pages.slice(0, -1))}
        further={(next) => setPages([...pages, next])}
      />
    </section>
  )
}

interface CursorPageProps {
  readonly session: Session
  readonly topic: string
  readonly path: string
  readonly query: string
  readonly last: number
  readonly empty: string
  readonly back: (() => void) | undefined
  readonly further: (next: string) => void
}

function CursorPage({ session, topic, path, query, last, empty, back, further }: CursorPageProps) {
  const look = useLook<{ readonly cursors: readonly Cursor[]; readonly next?: string }>(session, `${path}?${query}`)
  const page = look.value
  if (page === undefined) return <p class="soft">{look.problem === '' ? 'Looking …' : look.problem}</p>
  const { next } = page
  return (
    <>
      {page.cursors.length === 0 ? (
        <p class="panel soft">{empty}</p>
      ) : (
        <div class="list flat cursors">
          <table>
            <thead>
              <tr>
                <th scope="col">client</th>
                <th scope="col">seen up to</th>
                <th scope="col">behind</th>
                <th scope="col" class="wide">
                  last used
                </th>
                <th scope="col">
                  <span class="hidden">acts</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {page.cursors.map((cursor) => (
                <tr key={`${cursor.subject}/${cursor.client}`}>
                  <td>
                    <a href={linkTo('clients', undefined, { search: cursor.client, topic })}>{cursor.client}</a>{' '}
                    <span class="soft">{cursor.subject}</span>
                  </td>
                  <td>{count(cursor.position.offset)}</td>
                  <td>{count(cursor.lag)}</td>
                  <td class="wide">{moment(cursor.usedAt)}</td>
                  <td>
                    <CursorActs session={session} path={path} cursor={cursor} last={last} done={look.again} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <p class="buttons">
        {back !== undefined && (
          <button type="button" class="small" onClick={back}>
            Back
          </button>
        )}
        {next !== undefined && (
          <button type="button" class="small" onClick={() => further(next)}>
            Further
          </button>
        )}
      </p>
    </>
  )
}

interface CursorActsProps {
  readonly session: Session
  readonly path: string
  readonly cursor: Cursor
  readonly last: number
  readonly done: () => void
}

function CursorActs({ session, path, cursor, last, done }: CursorActsProps) {
  const { client, subject, position } = cursor
  const [to, setTo] = useState('start')
  const [offset, setOffset] = useState(String(position.offset))
  const own = `${path}/${part(client)}?subject=${part(subject)}`
  const seek = async () => {
    const from = to === 'offset' ? { epoch: position.epoch, offset: Number(offset) } : to
    await session.http.ask('PUT', own, { from })
    done()
    return 'moved'
  }
  const forget = async () => {
    await session.http.ask('DELETE', own)
    done()
    return 'forgotten'
  }
  return (
    <span class="acts">
      <Act title="Seek" verb="Move it" isAllowed act={seek}>
        <p>
          Puts the cursor of <strong>{client}</strong>, now at {count(position.offset)} of {count(last)}, somewhere
          else. Its open subscription ends, and its next one reads from there.
        </p>
        <label>
          To
          <select value={to} onChange={({ currentTarget }) => setTo(currentTarget.value)}>
            <option value="start">the start: everything that is kept, again</option>
            <option value="end">the end: it skips what it has not seen</option>
            <option value="offset">an offset that it has seen up to</option>
          </select>
        </label>
        {to === 'offset' && (
          <label>
            Offset
            <input
              type="number"
              min="0"
              value={offset}
              onInput={({ currentTarget }) => setOffset(currentTarget.value)}
            />
          </label>
        )}
      </Act>
      <Act title="Forget" verb="Forget it" isAllowed isGrave act={forget}>
        <p>
          Forgets where <strong>{client}</strong> is. When it comes back it is new: it begins at the end, and does not
          get the {count(cursor.lag)} events that it has not seen.
        </p>
      </Act>
    </span>
  )
}
