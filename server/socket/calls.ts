/** Calls of a client in a namespace: from packet to a handler and back to a reply. */

import type { Socket } from 'socket.io'
import { RepriseError } from '../../shared/errors.ts'
import { changedNumberRule } from '../../shared/exactNumbers.ts'
import type { Reply } from '../../shared/protocol.ts'
import type { Caller, Session } from '../core/access.ts'
import type { Core } from '../core/core.ts'
import { refusalOf } from '../core/refusal.ts'
import { MAX_READ_BYTES } from '../core/topics/log.ts'
import { PAGE_WEIGHT } from '../core/turns.ts'
import { credentialsSchema, parse } from '../wire/calls.ts'
import { JoinedReply } from './joining.ts'
import { ratesOf } from './rates.ts'
import { ChangedNumber } from './transport/decoder.ts'
import { type Begun, type Cost, intakeOf } from './transport/intake.ts'

/** What is kept for every socket, in `data`. */
export interface SocketState {
  readonly core: Core
  readonly caller: Caller
  readonly session: Session
}

/** `undefined` in a namespace that is not the hub's. */
export function stateOf({ data }: Socket): SocketState | undefined {
  return typeof data === 'object' && data !== null && 'core' in data && 'caller' in data ? data : undefined
}

export type Calls<State extends SocketState> = Readonly<
  Record<string, (state: State, args: readonly unknown[], call: Begun) => Promise<unknown>>
>

/** What calls cost beside what comes with them, by their names: a page that is read is made, too. */
const COSTS: ReadonlyMap<string, Cost> = new Map(
  Object.entries({
    read: { weight: 4 * PAGE_WEIGHT, bytes: MAX_READ_BYTES },
    listSchedules: { weight: 2 * PAGE_WEIGHT, bytes: 1_048_576 },
    // Of queues.
    job: { weight: PAGE_WEIGHT, bytes: 65_536 },
    jobs: { weight: 4 * PAGE_WEIGHT, bytes: MAX_READ_BYTES },
    // Of the console.
    history: { weight: 4 * PAGE_WEIGHT, bytes: 524_288 },
    topics: { weight: 2 * PAGE_WEIGHT, bytes: 65_536 },
    queues: { weight: 2 * PAGE_WEIGHT, bytes: 65_536 },
    clients: { weight: 2 * PAGE_WEIGHT, bytes: 65_536 },
    client: { weight: 2 * PAGE_WEIGHT, bytes: 65_536 },
    queue: { weight: PAGE_WEIGHT, bytes: 32_768 },
    disconnectClient: { weight: PAGE_WEIGHT, bytes: 0 },
    activity: { weight: PAGE_WEIGHT, bytes: 131_072 },
  }),
)
/** Characters of a call's name that are told. */
const MAX_NAME = 80
/** What is told of one that there is not: its name is as long as its sender likes, and another one each time. */
const UNKNOWN = 'a call that is not known'
const NO_COST: Cost = { weight: 0, bytes: 0 }

/** Of every namespace: the session goes on with another token. */
async function auth({ session }: SocketState, [credentials]: readonly unknown[]): Promise<null> {
  await session.renew(parse(credentialsSchema, credentials, 'auth').token)
  return null
}

/** Serves the calls of sockets whose `data` is a `State`. One function for all of them, as each has thousands. */
export function serving<State extends SocketState>(own: Calls<State>): (socket: Socket) => void {
  const calls: Calls<State> = { ...own, auth }
  function onCall(this: unknown, asked: unknown, ...args: unknown[]): void {
    const socket = this as Socket
    const state = socket.data as State
    const name = String(asked)
    const known = Object.hasOwn(calls, name) ? name : UNKNOWN
    const last = args.at(-1)
    const answered = typeof last === 'function' ? (args.pop() as (reply: Reply<unknown>) => void) : () => {}
    const respond = detailed(socket, name, state, answered)
    const refuse = (error: unknown) =>
      respond({ ok: false, error: refusalOf(error, known, state.core.telemetry).toWire() })
    const tooMany = ratesOf(socket.conn)?.refusal()
    if (tooMany !== undefined) {
      refuse(tooMany)
      return
    }
    intakeOf(socket.conn).add(socket, COSTS.get(name) ?? NO_COST, (call) =>
      answer(calls, state, name, args, call).then(
        (value) =>
          respond(value instanceof JoinedReply ? { ok: true, value: null, joined: value.joined } : { ok: true, value }),
        refuse,
      ),
    )
  }
  return (socket) => {
    tellDetails(socket, socket.data as State)
    intakeOf(socket.conn)
    socket.onAny(onCall)
  }
}

async function answer<State extends SocketState>(
  calls: Calls<State>,
  state: State,
  name: string,
  args: readonly unknown[],
  begun: Begun,
): Promise<unknown> {
  const call = Object.hasOwn(calls, name) ? calls[name] : undefined
  if (call === undefined) {
    const known = Object.keys(calls).join(', ')
    const asked = JSON.stringify(name.slice(0, MAX_NAME))
    throw new RepriseError('bad_request', `there is no call ${asked} here; there are ${known}`)
  }
  for (const arg of args) {
    if (arg instanceof ChangedNumber) throw new RepriseError('bad_request', `${name}: ${changedNumberRule(arg.number)}`)
  }
  return await call(state, args, begun)
}

/** The same answer, told to who wants details. */
function detailed(
  { nsp }: Socket,
  name: string,
  { core }: SocketState,
  respond: (reply: Reply<unknown>) => void,
): (reply: Reply<unknown>) => void {
  const { detail } = core.telemetry
  if (detail === undefined) return respond
  const began = performance.now()
  return (reply) => {
    const code = reply.ok ? {} : { code: reply.error.code }
    const ms = Math.round(performance.now() - began)
    detail({ kind: 'call', call: name.slice(0, MAX_NAME), namespace: nsp.name, ms, ...code })
    respond(reply)
  }
}

function tellDetails(socket: Socket, { core, caller }: SocketState): void {
  const { detail } = core.telemetry
  if (detail === undefined) return
  const namespace = socket.nsp.name
  const client = caller.client === undefined ? {} : { client: caller.client }
  detail({ kind: 'entered', namespace, subject: caller.subject, ...client })
  socket.once('disconnect', (reason) => detail({ kind: 'left', namespace, ...client, reason }))
}
