/** Who may do what, once: every call of the hub with the action that it needs. The test and docs/security.md are made of it. */

import type { Action } from '../../../server/core/access.ts'

export interface HttpCall {
  readonly kind: 'http'
  /** `GET /topics/{topic}`, behind `/v1`. */
  readonly call: string
  readonly body?: unknown
}

export interface SocketCall {
  readonly kind: 'topic' | 'queues' | 'console'
  readonly call: string
  readonly args: readonly unknown[]
}

export interface Need {
  readonly what: string
  readonly calls: readonly (HttpCall | SocketCall)[]
  /** Without one it is for whoever is known. */
  readonly action?: Action
  /** Default: the topic or queue that is called. */
  readonly on?: '*'
  /** What the page says besides. */
  readonly note?: string
}

const http = (call: string, body?: unknown): HttpCall => ({
  kind: 'http',
  call,
  ...(body === undefined ? {} : { body }),
})
const topic = (call: string, ...args: unknown[]): SocketCall => ({ kind: 'topic', call, args })
const ofConsole = (call: string, ...args: unknown[]): SocketCall => ({ kind: 'console', call, args })
const queues = (call: string, ...args: unknown[]): SocketCall => ({ kind: 'queues', call, args })

export const NEEDS: readonly Need[] = [
  {
    what: 'publish',
    calls: [http('POST /topics/{topic}/events', { data: 1 }), topic('publish', [{ data: 1 }])],
    action: 'publish',
  },
  {
    what: 'read a page',
    calls: [http('GET /topics/{topic}/events'), topic('read', {})],
    action: 'read',
    note: 'whoever waits for events with `waitMs` needs `subscribe`, too',
  },
  {
    what: 'subscribe',
    calls: [http('GET /topics/{topic}/stream'), topic('subscribe', { from: 'end' })],
    action: 'subscribe',
    note: 'so does a handshake, unless it says `from: "none"`',
  },
  {
    what: 'acknowledge',
    calls: [topic('ack', { epoch: 'e', offset: 0 })],
    action: 'subscribe',
    note: "moves the caller's own cursor",
  },
  { what: 'unsubscribe', calls: [topic('unsubscribe')] },
  {
    what: 'look at a topic',
    calls: [http('GET /topics/{topic}'), http('GET /topics/{topic}/settings')],
    action: 'read',
  },
  {
    what: 'see, move and forget cursors',
    calls: [
      http('GET /topics/{topic}/cursors'),
      http('PUT /topics/{topic}/cursors/{client}', { from: 'end' }),
      http('DELETE /topics/{topic}/cursors/{client}'),
    ],
    action: 'admin',
  },
  {
    what: 'set and drop a topic',
    calls: [http('PUT /topics/{topic}', {}), http('DELETE /topics/{topic}')],
    action: 'admin',
  },
  {
    what: 'send',
    calls: [http('POST /queues/{queue}/jobs', { data: 1 }), queues('send', [{ data: 1 }])],
    action: 'send',
    note: 'for a child in another queue `request` or `read` there, too',
  },
  {
    what: 'send a request',
    calls: [queues('request', { data: 1 }, { timeoutMs: 1 })],
    action: 'request',
    note: 'only the caller gets the reply',
  },
  {
    what: 'remove a job that waits',
    calls: [http('DELETE /queues/{queue}/jobs/{id}'), queues('remove', 'x')],
    action: 'admin',
    note: "`send` for one's own",
  },
  {
    what: 'run a delayed job now',
    calls: [http('POST /queues/{queue}/jobs/{id}/run')],
    action: 'admin',
  },
  {
    what: 'put, run and remove a schedule',
    calls: [
      http('PUT /queues/{queue}/schedules/{name}', { everyMs: 86_400_000, draft: { data: 1 } }),
      http('POST /queues/{queue}/schedules/{name}/run'),
      http('DELETE /queues/{queue}/schedules/{name}'),
      queues('putSchedule', 's', { everyMs: 86_400_000, draft: { data: 1 } }),
      queues('runSchedule', 's'),
      queues('removeSchedule', 's'),
    ],
    action: 'admin',
  },
  {
    what: 'look at the schedules of a queue',
    calls: [
      http('GET /queues/{queue}/schedules'),
      http('GET /queues/{queue}/schedules/{name}'),
      queues('listSchedules'),
      queues('getSchedule', 's'),
    ],
    action: 'read',
  },
  {
    what: 'take jobs',
    calls: [http('POST /queues/{queue}/claims', {}), queues('consume', { credit: 1 })],
    action: 'consume',
  },
  {
    what: 'settle',
    calls: [
      http('POST /queues/{queue}/settlements', [{ id: 'x', lease: 'y', as: 'done' }]),
      queues('settle', [{ id: 'x', lease: 'y', as: 'done' }]),
    ],
    action: 'consume',
    note: 'with the lease, which only its holder is told',
  },
  {
    what: 'tell how far held jobs are',
    calls: [
      http('POST /queues/{queue}/progress', [{ id: 'x', lease: 'y', value: 1 }]),
      queues('progress', [{ id: 'x', lease: 'y', value: 1 }]),
    ],
    action: 'consume',
    note: 'with the lease, as for settling',
  },
  { what: 'stop taking jobs', calls: [queues('cancel')] },
  {
    what: 'look at a queue and its jobs',
    calls: [
      http('GET /queues/{queue}'),
      http('GET /queues/{queue}/settings'),
      http('GET /queues/{queue}/jobs'),
      http('GET /queues/{queue}/jobs/{id}'),
      queues('job', 'x'),
      queues('jobs', {}),
      queues('waitFor', 'x', { timeoutMs: 1 }),
      queues('counts'),
    ],
    action: 'read',
  },
  {
    what: 'see who consumes from a queue',
    calls: [http('GET /queues/{queue}/consumers')],
    action: 'admin',
    note: 'or `read` on `*`',
  },
  {
    what: 'set a queue',
    calls: [http('PUT /queues/{queue}', {})],
    action: 'admin',
    note: 'and `subscribe` on each topic that is bound',
  },
  { what: 'drop a queue', calls: [http('DELETE /queues/{queue}')], action: 'admin' },
  {
    what: 'pause, resume, purge, redrive',
    calls: [
      http('POST /queues/{queue}/pause'),
      http('POST /queues/{queue}/resume'),
      http('POST /queues/{queue}/purge'),
      http('POST /queues/{queue}/redrive', {}),
      queues('pause'),
      queues('resume'),
    ],
    action: 'admin',
  },
  { what: 'list topics and queues', calls: [http('GET /topics'), http('GET /queues')], action: 'admin', on: '*' },
  {
    what: 'see in the console what this node does as a whole',
    calls: [ofConsole('history')],
    action: 'read',
    on: '*',
    note: 'so does `whole` of its summaries',
  },
  {
    what: 'see in the console what there is, and what happened',
    calls: [ofConsole('topics'), ofConsole('queues'), ofConsole('activity')],
    note: 'it shows the names that one may `read`, and what happened to them',
  },
  {
    what: 'see in the console how quick a queue is',
    calls: [ofConsole('queue', { queue: 'q' })],
    action: 'read',
  },
  {
    what: 'see who is connected to a node',
    calls: [http('GET /clients'), http('GET /clients/{id}'), ofConsole('clients'), ofConsole('client', { id: 'x' })],
    note: 'all of it with `read` on `*`; else who uses the names on which one has `admin`, without addresses',
  },
  { what: 'see what the doctor says of a node', calls: [http('GET /doctor')], action: 'admin', on: '*' },
  {
    what: 'disconnect somebody',
    calls: [http('DELETE /clients/{id}'), ofConsole('disconnectClient', { id: 'x' })],
    action: 'admin',
    on: '*',
  },
  {
    what: 'revoke, and see what is revoked',
    calls: [
      http('POST /revocations', { tokenId: 'nobody' }),
      http('GET /revocations'),
      http('DELETE /revocations/{id}'),
    ],
    action: 'admin',
    on: '*',
  },
  {
    what: 'ask who one is; get a ticket; renew',
    calls: [
      http('GET /me'),
      http('POST /tickets'),
      topic('auth', { token: '' }),
      queues('auth', { token: '' }),
      ofConsole('auth', { token: '' }),
    ],
    note: 'renewing takes a good token of the same subject',
  },
  { what: 'leave a place of a connection', calls: [queues('away')] },
]

/** The table of docs/security.md. */
export function needsTable(): string {
  const rows = NEEDS.map(({ what, calls, action, on, note }) => {
    const named = (kinds: readonly string[]) => {
      const names = calls.filter(({ kind }) => kinds.includes(kind)).map(({ call }) => `\`${call}\``)
      return [...new Set(names)].join(', ').replace(/\{(\w+)\}/g, ':$1')
    }
    const needed = action === undefined ? 'to be known' : `\`${action}\`${on === undefined ? '' : ` on \`${on}\``}`
    return [
      what,
      named(['http']),
      named(['topic', 'queues', 'console']),
      note === undefined ? needed : `${needed}; ${note}`,
    ]
  })
  const lines = [['to', 'HTTP, behind `/v1`', 'Socket.IO', 'one needs'], ['---', '---', '---', '---'], ...rows]
  return lines.map((cells) => `| ${cells.join(' | ')} |`.replaceAll('|  |', '| |')).join('\n')
}
