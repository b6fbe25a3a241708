/** Who is connected to this node: all of them, or one. */

import type { ClientRow } from '../../../shared/console/protocol.ts'
import { type Column, List } from '../frame/list.tsx'
import { ask, linkTo, route } from '../frame/route.ts'
import type { Session } from '../hub/session.ts'
import { count, moment, plural } from '../hub/words.ts'
import { ClientPage } from './client.tsx'
import { nameOf } from './name.ts'
import { Pace } from './pace.tsx'

const COLUMNS: readonly Column<ClientRow>[] = [
  { sort: 'client', title: 'client', show: nameOf },
  { sort: 'state', title: 'state', show: ({ state }) => <Pace state={state} /> },
  { sort: 'lag', title: 'behind', show: ({ lag }) => count(lag) },
  { sort: 'subscriptions', title: 'topics', show: ({ subscriptions }) => count(subscriptions), isWide: true },
  { sort: 'consumers', title: 'queues', show: ({ consumers }) => count(consumers), isWide: true },
  { sort: 'held', title: 'jobs', show: ({ held }) => count(held), isWide: true },
  { sort: 'subject', title: 'subject', show: ({ subjects }) => subjects.join(', '), isWide: true },
  { sort: 'address', title: 'from', show: ({ address = '–' }) => address, isWide: true },
  { sort: 'transport', title: 'by', show: ({ transport }) => transport, isWide: true },
  { sort: 'since', title: 'since', show: ({ since }) => moment(since), isWide: true },
]

export function ClientsPage({ session }: { readonly session: Session }) {
  const { name, query } = route.value
  if (name !== undefined) return <ClientPage key={name} session={session} id={name} />
  const filter: Record<string, string> = {}
  for (const of of ['topic', 'queue']) {
    const asked = query.get(of)
    if (asked !== null) filter[of] = asked
  }
  return (
    <>
      <h1>Clients</h1>
      <Where session={session} />
      <Filter filter={filter} />
      <List<ClientRow>
        session={session}
        call="clients"
        nameOf={nameOf}
        keyOf={({ id }) => id}
        link={({ id }) => linkTo('clients', id)}
        columns={COLUMNS}
        filter={filter}
        empty={<p class="panel soft">Nobody is connected here whom you may see.</p>}
      />
    </>
  )
}

/** Whose connections these are, and what of them is not shown. */
function Where({ session }: { readonly session: Session }) {
  const { node, whole } = session.summary.value ?? {}
  const others = (whole?.nodes.length ?? 1) - 1
  return (
    <p class="soft">
      Connections and streams of this node{node !== undefined && `, ${node}`}.
      {others > 0 && ` Those of ${plural(others, 'other node')} are in their consoles.`}
      {!session.seesAll && ' You see who uses the topics and queues on which you have “admin”.'}
    </p>
  )
}

function Filter({ filter }: { readonly filter: Readonly<Record<string, string>> }) {
  const named = Object.entries(filter)
  if (named.length === 0) return null
  return (
    <p class="buttons chosen">
      {named.map(([of, name]) => (
        <button key={of} type="button" class="small" onClick={() => ask({ [of]: undefined })}>
          {of} {name} <span aria-hidden="true">×</span>
          <span class="hidden">: show all again</span>
        </button>
      ))}
    </p>
  )
}
