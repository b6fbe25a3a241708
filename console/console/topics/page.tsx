/** The topics: all of them, or one. */

import type { TopicRow } from '../../../shared/console/protocol.ts'
import { type Column, List } from '../frame/list.tsx'
import { linkTo, route } from '../frame/route.ts'
import type { Session } from '../hub/session.ts'
import { bytes, count, rate } from '../hub/words.ts'
import { TopicPage } from './topic.tsx'

const COLUMNS: readonly Column<TopicRow>[] = [
  { sort: 'topic', title: 'topic', show: ({ topic }) => topic },
  { sort: 'perSecond', title: 'a second', show: ({ perSecond }) => rate(perSecond) },
  { sort: 'last', title: 'last offset', show: ({ last }) => count(last), isWide: true },
  { sort: 'events', title: 'kept', show: ({ events }) => count(events) },
  { sort: 'bytes', title: 'size', show: (row) => bytes(row.bytes), isWide: true },
  { sort: 'subscribers', title: 'subscribers', show: ({ subscribers }) => count(subscribers), isWide: true },
  { sort: 'cursors', title: 'cursors', show: ({ cursors }) => count(cursors), isWide: true },
  { sort: 'lag', title: 'behind', show: ({ lag }) => count(lag) },
]

export function TopicsPage({ session }: { readonly session: Session }) {
  const { name } = route.value
  if (name !== undefined) return <TopicPage key={name} session={session} topic={name} />
  return (
    <>
      <h1>Topics</h1>
      <List<TopicRow>
        session={session}
        call="topics"
        nameOf={({ topic }) => topic}
        link={({ topic }) => linkTo('topics', topic)}
        columns={COLUMNS}
        empty={<p class="panel soft">There is no topic that you may read. The first event makes one.</p>}
      />
    </>
  )
}
