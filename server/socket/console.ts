/**
 * The console's namespace: a summary once a second to whoever is there, and calls for what is looked at. Loaded for the
 * first one that comes. A summary that could not leave is not made up for: the next one says the same and more.
 */

import type { Namespace, Socket } from 'socket.io'
import { QUEUE_SORTS, type Summary, TOPIC_SORTS } from '../../shared/console/protocol.ts'
import { authorize } from '../core/access.ts'
import { type Observer, seesAll } from '../core/seeing/observer.ts'
import {
  activityQuerySchema,
  clientIdSchema,
  clientsQuerySchema,
  listQuerySchema,
  parse,
  queueSeenQuerySchema,
} from '../wire/calls.ts'
import { type Calls, type SocketState, serving } from './calls.ts'

interface ConsoleState extends SocketState {
  readonly observer: Observer
}

const CALLS: Calls<ConsoleState> = {
  async history({ observer, caller }) {
    authorize(caller, 'read', '*')
    return observer.history()
  },

  async topics({ observer, caller }, [query]) {
    return await observer.topics(caller, parse(listQuerySchema(TOPIC_SORTS), query ?? {}, 'topics'))
  },

  async queues({ observer, caller }, [query]) {
    return await observer.queues(caller, parse(listQuerySchema(QUEUE_SORTS), query ?? {}, 'queues'))
  },

  async queue({ observer, caller }, [query]) {
    return observer.queue(caller, parse(queueSeenQuerySchema, query, 'queue'))
  },

  async clients({ core, caller }, [query], { gone }) {
    return await core.clients.list(caller, parse(clientsQuerySchema, query ?? {}, 'clients'), gone)
  },

  async client({ core, caller }, [asked]) {
    return core.clients.one(caller, parse(clientIdSchema, asked, 'client').id)
  },

  async disconnectClient({ core, caller }, [asked]) {
    core.clients.disconnect(caller, parse(clientIdSchema, asked, 'disconnectClient').id)
    return null
  },

  async activity({ observer, caller }, [query]) {
    return observer.activity(caller, parse(activityQuerySchema, query ?? {}, 'activity'))
  },
}

const serveConsole = serving(CALLS)

/** Those who see the whole hub, and those who see a part of it. */
const WHOLE = 'whole'
const PART = 'part'

const watches = new WeakMap<Namespace, () => void>()

/** `review`: what it may see has changed. */
export function enterConsole(socket: Socket, state: ConsoleState): { review: () => void; left: () => void } {
  const { nsp } = socket
  const { caller, observer } = state
  socket.data = state
  serveConsole(socket)
  const review = (): void => {
    const [room, other] = seesAll(caller) ? [WHOLE, PART] : [PART, WHOLE]
    void socket.leave(other)
    void socket.join(room)
  }
  review()
  const known = observer.summary()
  if (known !== undefined) socket.emit('summary', seesAll(caller) ? known : partOf(known))
  const watch = (summary: Summary): void => tell(nsp, summary)
  if (!watches.has(nsp)) watches.set(nsp, observer.watch(watch))
  const left = (): void => {
    if (nsp.sockets.size > 0) return
    watches.get(nsp)?.()
    watches.delete(nsp)
  }
  return { review, left }
}

/** What is not read is not made: whoever has not taken the last one gets none. */
function tell(nsp: Namespace, summary: Summary): void {
  nsp.volatile.to(WHOLE).emit('summary', summary)
  nsp.volatile.to(PART).emit('summary', partOf(summary))
}

function partOf({ whole: _, ...part }: Summary): Summary {
  return part
}
