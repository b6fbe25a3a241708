/**
 * Long polling at the pace of its client and of the hub: while too much waits, nothing more of what is posted is
 * taken, and the next poll is answered when the answer before it is taken.
 */

import { type IncomingMessage, ServerResponse } from 'node:http'
import { setImmediate as turn } from 'node:timers/promises'
import type { Server } from 'socket.io'
import { intakeOf } from './intake.ts'
import { type Connection, knownReading, readingOf } from './reading.ts'

type Engine = Server['engine']

/** As Engine.IO hands it to a middleware. */
export interface EngineRequest extends IncomingMessage {
  readonly _query: Readonly<Record<string, string | undefined>>
}

/** What engine.io's transports have and do not declare. */
interface RawTransport {
  readonly name: string
  readonly protocol: number
  onData(payload: string): void
}

/** Between the packets of a payload. */
const SEPARATOR = '\u001e'
/** Packets that are taken in one turn. */
const PIECE = 500

export function paceRequests(engine: Engine): void {
  const answers = new WeakMap<object, ServerResponse>()
  engine.use((request: EngineRequest, response: unknown, next: () => void) => {
    const connection = connectionOf(engine, request)
    if (connection === undefined || !(response instanceof ServerResponse)) return next()
    if (request.method === 'POST') {
      const reading = knownReading(connection)
      const begin = () => {
        takeInParts(connection, response)
        next()
      }
      if (reading?.isUnread !== true) return begin()
      void reading.whenRead().then(begin)
      return
    }
    const before = answers.get(connection)
    answers.set(connection, response)
    // One that has not begun is a poll too many: Engine.IO closes the connection.
    if (before === undefined || !before.headersSent || before.writableFinished || before.destroyed) return next()
    before.once('close', next)
  })
}

/** The connection that a request names. */
export function connectionOf(engine: Engine, { _query: { sid = '' } }: EngineRequest): Connection | undefined {
  const { clients } = engine as unknown as { readonly clients: Readonly<Record<string, Connection>> }
  return Object.hasOwn(clients, sid) ? clients[sid] : undefined
}

/**
 * One payload may have so many calls that they are too many by themselves: then it is taken bit by bit, and answered when
 * all of it is.
 */
function takeInParts(connection: Connection, response: ServerResponse): void {
  const transport = connection.transport as unknown as RawTransport
  // Older clients part their packets by lengths.
  if (transport.name !== 'polling' || transport.protocol !== 4) return
  const { onData: take } = Object.getPrototypeOf(transport) as RawTransport
  transport.onData = (payload) => {
    const packets = payload.split(SEPARATOR)
    const taken = takeAll(connection, packets, (packet) => take.call(transport, packet))
    if (packets.length > PIECE) answerAfter(response, taken)
  }
}

async function takeAll(
  connection: Connection,
  packets: readonly string[],
  take: (packet: string) => void,
): Promise<void> {
  const [reading, intake] = [readingOf(connection), intakeOf(connection)]
  for (const [i, packet] of packets.entries()) {
    if (i > 0 && i % PIECE === 0) {
      // Socket.IO hands calls on a little later, and they are counted only then.
      await turn()
      if (reading.crowded || intake.crowded) await reading.whenRead()
    }
    if (connection.readyState !== 'open') return
    take(packet)
  }
}

function answerAfter(response: ServerResponse, taken: Promise<void>): void {
  const { end } = response
  response.end = ((...args: Parameters<typeof end>) => {
    void taken.then(() => end.apply(response, args))
    return response
  }) as typeof end
}
