/** Who consumes from a queue on this node: what each may take, what it holds, and for how long. */

import { linkTo } from '../frame/route.ts'
import { part } from '../hub/http.ts'
import type { Session } from '../hub/session.ts'
import { useLook } from '../hub/useLook.ts'
import { count, duration, moment, plural } from '../hub/words.ts'

interface Consumers {
  readonly node: string
  readonly total: number
  readonly consumers: readonly {
    readonly subject: string
    readonly client: string
    readonly credit: number
    readonly held: number
    readonly longestMs?: number
    readonly since: number
    readonly silent: boolean
  }[]
}

const SHOWN = 100

interface ConsumersProps {
  readonly session: Session
  readonly queue: string
  /** On all nodes. */
  readonly all: number
}

export function QueueConsumers({ session, queue, all }: ConsumersProps) {
  if (!session.seesAll && !session.may('admin', queue)) {
    return (
      <p class="panel soft">
        Who consumes is told to whoever has <code>admin</code> on {queue}.
      </p>
    )
  }
  return <Told session={session} queue={queue} all={all} />
}

function Told({ session, queue, all }: ConsumersProps) {
  const look = useLook<Consumers>(session, `/queues/${part(queue)}/consumers?limit=${SHOWN}`)
  if (look.value === undefined) return <p class="soft">{look.problem === '' ? 'Looking …' : look.problem}</p>
  const { node, total, consumers } = look.value
  const elsewhere = all > total ? `, ${count(all)} on all nodes together` : ''
  return (
    <section aria-label="Consumers">
      <p class="soft">
        {plural(total, 'consumer')} on this node ({node}){elsewhere}
        {total > consumers.length ? `; here are the ${consumers.length} that hold most` : ''}.{' '}
        <a href={linkTo('clients', undefined, { queue })}>Their connections</a>
      </p>
      {consumers.length > 0 && (
        <div class="list flat">
          <table>
            <thead>
              <tr>
                <th scope="col">client</th>
                <th scope="col" class="wide">
                  subject
                </th>
                <th scope="col">holds</th>
                <th scope="col">longest</th>
                <th scope="col" class="wide">
                  since
                </th>
              </tr>
            </thead>
            <tbody>
              {consumers.map(({ subject, client, credit, held, longestMs, since, silent }) => (
                <tr key={`${subject} ${client}`}>
                  <td>
                    {client}
                    {silent && (
                      <strong title="a lease of its lapsed, and nothing was heard of it since"> silent</strong>
                    )}
                  </td>
                  <td class="wide">{subject}</td>
                  <td>{credit === 0 ? `${count(held)}, takes no more` : `${count(held)} of ${count(credit)}`}</td>
                  <td>{longestMs === undefined ? '–' : duration(longestMs)}</td>
                  <td class="wide">{moment(since)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}
