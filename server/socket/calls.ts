/** Calls of a client in a namespace: from packet to a handler and back to a reply. */

import type { Socket } from 'socket.io'
import { RepriseError } from '../../shared/errors.ts'
import { changedNumberRule } from '../../shared/exactNumbers.ts'
import type { Reply } from '../../shared/protocol.ts'
import type { Caller } from '../core/access.ts'
import type { Core } from '../core/core.ts'
import { refusalOf } from '../core/refusal.ts'
import { MAX_READ_BYTES } from '../core/topics/log.ts'
import { PAGE_WEIGHT } from '../core/turns.ts'
import { JoinedReply } from './joining.ts'
import { ratesOf } from './rates.ts'
import { ChangedNumber } from './transport/decoder.ts'
import { type Begun, type Cost, intakeOf } from './transport/intake.ts'

/** What is kept for every socket, in `data`. */
export interface SocketState {
  readonly core: Core
  readonly caller: Caller
}

export type Calls<State extends SocketState> = Readonly<
  Record<string, (state: State, args: readonly unknown[], call: Begun) => Promise<unknown>>
>

/** What calls cost beside what comes with them, by their names: a page that is read is made, too. */
const COSTS: Readonly<Record<string, Cost>> = {
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
}
/** Characters of a call's name that are told. */
const MAX_NAME = 80
/** What is told of one that there is not: its name is as long as its sender likes, and another one each time. */
const UNKNOWN = 'a call that is not known'
const NO_COST: Cost = { weight: 0, bytes: 0 }

/** Serves the calls of sockets whose `data` is a `State`. One function for all of them, as each has thousands. */
export function serving<State extends SocketState>(calls: Calls<State>): (socket: Socket) => void {
  function onCall(this: unknown, name: unknown, ...args: unknown[]): void {
    const socket = this as Socket
    const state = socket.data as State
    const last = args.at(-1)
    const known = typeof name === 'string' && Object.hasOwn(calls, name) ? name : UNKNOWN
    const answered = typeof last === 'function' ? (args.pop() as (reply: Reply<unknown>) => void) : () => {}
    const respond = detailed(socket, String(name), state, answered)
    const refuse = (error: unknown) =>
      respond({ ok: false, error: refusalOf(error, known, state.core.telemetry).toWire() })
    const tooMany = ratesOf(socket.conn)?.refusal()
    if (tooMany !== undefined) {
      refuse(tooMany)
      return
    }
    const cost = typeof name === 'string' && Object.hasOwn(COSTS, name) ? COSTS[name] : NO_COST
    intakeOf(socket.conn).add(socket, cost ?? NO_COST, (call) =>
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
  name: unknown,
  args: readonly unknown[],
  begun: Begun,
): Promise<unknown> {
  const call = typeof name === 'string' && Object.hasOwn(calls, name) ? calls[name] : undefined
  if (call === undefined) {
    const known = Object.keys(calls).join(', ')
    const asked = JSON.stringify(String(name).slice(0, 80))
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
