/** The queues: all of them, or one. */

import type { QueueRow } from '../../../shared/console/protocol.ts'
import { type Column, List } from '../frame/list.tsx'
import { linkTo, route } from '../frame/route.ts'
import type { Session } from '../hub/session.ts'
import { count, duration, rate } from '../hub/words.ts'
import { QueuePage } from './queue.tsx'

const COLUMNS: readonly Column<QueueRow>[] = [
  { sort: 'queue', title: 'queue', show: ({ queue }) => queue },
  { sort: 'ready', title: 'ready', show: ({ ready, paused }) => (paused ? `${count(ready)}, paused` : count(ready)) },
  { sort: 'oldestReadyMs', title: 'oldest', show: (row) => (row.ready === 0 ? '–' : duration(row.oldestReadyMs)) },
  { sort: 'delayed', title: 'delayed', show: ({ delayed }) => count(delayed), isWide: true },
  { sort: 'held', title: 'held', show: ({ held }) => count(held), isWide: true },
  { sort: 'dead', title: 'dead', show: ({ dead }) => count(dead) },
  { sort: 'consumers', title: 'consumers', show: ({ consumers }) => count(consumers), isWide: true },
  { sort: 'sentPerSecond', title: 'in a second', show: (row) => rate(row.sentPerSecond), isWide: true },
  { sort: 'donePerSecond', title: 'done a second', show: (row) => rate(row.donePerSecond), isWide: true },
]

export function QueuesPage({ session }: { readonly session: Session }) {
  const { name } = route.value
  if (name !== undefined) return <QueuePage key={name} session={session} queue={name} />
  return (
    <>
      <h1>Queues</h1>
      <List<QueueRow>
        session={session}
        call="queues"
        nameOf={({ queue }) => queue}
        link={({ queue }) => linkTo('queues', queue)}
        columns={COLUMNS}
        empty={<p class="panel soft">There is no queue that you may read. The first job makes one.</p>}
      />
    </>
  )
}
