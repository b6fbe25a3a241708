/** One connection: who it is, what it has open, and the way to end it. */

import type { ClientConsumer, ClientRow, ClientSeen, ClientSubscription } from '../../../shared/console/protocol.ts'
import { Act } from '../frame/confirm.tsx'
import { Fact } from '../frame/fact.tsx'
import { Head } from '../frame/head.tsx'
import { linkTo } from '../frame/route.ts'
import type { Session } from '../hub/session.ts'
import { useCall } from '../hub/useLook.ts'
import { count, moment, plural } from '../hub/words.ts'
import { nameOf } from './name.ts'
import { Pace } from './pace.tsx'

export function ClientPage({ session, id }: { readonly session: Session; readonly id: string }) {
  const look = useCall<ClientSeen>(session, 'client', { id })
  const seen = look.value
  const isGone = look.code === 'not_found'
  return (
    <>
      <Head
        of={{ page: 'clients', title: 'Clients' }}
        name={seen === undefined ? id : nameOf(seen.client)}
        problem={isGone ? '' : look.problem}
      />
      {isGone && <Gone row={seen?.client} />}
      {seen !== undefined && <Facts seen={seen} isWhole={session.seesAll} />}
      {seen !== undefined && !isGone && <Disconnect session={session} row={seen.client} done={look.again} />}
      {seen !== undefined && <Subscriptions subscriptions={seen.subscriptions} of={seen.client} />}
      {seen !== undefined && <Consumers consumers={seen.consumers} of={seen.client} />}
    </>
  )
}

function Gone({ row }: { readonly row: ClientRow | undefined }) {
  const [client] = row?.clients ?? []
  return (
    <p class="banner" role="status">
      This connection is gone, or is one of another node. A client that comes back has a new one
      {client === undefined ? '.' : ': '}
      {client !== undefined && <a href={linkTo('clients', undefined, { search: client })}>look for {client}</a>}
    </p>
  )
}

/** `isWhole`: who may not see addresses is not told that there is none. */
function Facts({ seen: { node, client: row }, isWhole }: { readonly seen: ClientSeen; readonly isWhole: boolean }) {
  return (
    <dl class="line">
      <Fact name="subject" value={row.subjects.join(', ')} />
      {row.address !== undefined && <Fact name="from" value={row.address} />}
      {row.address === undefined && isWhole && <Fact name="from" value="the hub's own process" />}
      <Fact name="by" value={row.transport} />
      <Fact name="since" value={moment(row.since)} />
      <Fact name="topics" value={count(row.subscriptions)} />
      <Fact name="queues" value={count(row.consumers)} />
      <Fact name="jobs held" value={count(row.held)} />
      <Fact name="furthest behind" value={count(row.lag)} />
      <Fact name="node" value={node} />
    </dl>
  )
}

interface DisconnectProps {
  readonly session: Session
  readonly row: ClientRow
  readonly done: () => void
}

function Disconnect({ session, row, done }: DisconnectProps) {
  const isAllowed = session.may('admin', '*')
  const act = async () => {
    await session.call('disconnectClient', { id: row.id })
    done()
    return 'disconnected'
  }
  return (
    <div class="acts">
      <Act title="Disconnect" verb="Disconnect it" isAllowed={isAllowed} act={act}>
        <p>
          Closes the connection of <strong>{nameOf(row)}</strong>
          {row.address !== undefined && ` from ${row.address}`}, with {plural(row.subscriptions, 'subscription')} and{' '}
          {plural(row.consumers, 'consumer')}.
        </p>
        <p>
          Its client comes back by itself, as after a network that broke. The SDK, an EventSource and every client with
          a cursor go on where they were, and miss nothing. The {plural(row.held, 'job')} that it holds stay its own for
          the grace of their queues. To keep somebody out, revoke the token.
        </p>
      </Act>
      {!isAllowed && (
        <span class="soft">
          You may look: to disconnect needs <code>admin</code> on *.
        </span>
      )}
    </div>
  )
}

interface SubscriptionsProps {
  readonly subscriptions: readonly ClientSubscription[]
  readonly of: ClientRow
}

function Subscriptions({ subscriptions, of: row }: SubscriptionsProps) {
  const hasNames = row.clients.length > 1
  if (subscriptions.length === 0) return <p class="panel soft opened">It is in no topic.</p>
  return (
    <section class="opened" aria-label="Subscriptions">
      <h2>Topics</h2>
      {row.subscriptions > subscriptions.length && (
        <p class="soft">
          {count(subscriptions.length)} of {count(row.subscriptions)}, those that are worst off.
        </p>
      )}
      <div class="list flat">
        <table>
          <thead>
            <tr>
              <th scope="col">topic</th>
              <th scope="col">state</th>
              <th scope="col">sent up to</th>
              <th scope="col">behind</th>
              {hasNames && <th scope="col">client</th>}
            </tr>
          </thead>
          <tbody>
            {subscriptions.map(({ topic, state, position, lag, client }, i) => (
              <tr key={`${topic} ${i}`}>
                <td>
                  <a href={linkTo('topics', topic)}>{topic}</a>
                </td>
                <td>
                  <Pace state={state} />
                </td>
                <td>{position === undefined ? '–' : count(position.offset)}</td>
                <td>{count(lag)}</td>
                {hasNames && <td>{client}</td>}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}

interface ConsumersProps {
  readonly consumers: readonly ClientConsumer[]
  readonly of: ClientRow
}

function Consumers({ consumers, of: row }: ConsumersProps) {
  if (consumers.length === 0) return <p class="panel soft opened">It consumes from no queue.</p>
  return (
    <section class="opened" aria-label="Consumers">
      <h2>Queues</h2>
      {row.consumers > consumers.length && (
        <p class="soft">
          {count(consumers.length)} of {count(row.consumers)}, those that hold most.
        </p>
      )}
      <div class="list flat">
        <table>
          <thead>
            <tr>
              <th scope="col">queue</th>
              <th scope="col">credit</th>
              <th scope="col">jobs held</th>
            </tr>
          </thead>
          <tbody>
            {consumers.map(({ queue, credit, held }) => (
              <tr key={queue}>
                <td>
                  <a href={linkTo('queues', queue.replace(/\/dead$/, ''))}>{queue}</a>
                </td>
                <td>{credit === 0 ? '0: takes no more' : count(credit)}</td>
                <td>{count(held)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}
