/** A client of server-sent events as browsers are: parses the stream, keeps the last id, comes back with it if asked. */

import { type ClientRequest, get, type IncomingMessage } from 'node:http'
import type { Event, Gap } from '../../../shared/protocol.ts'
import { atEnd } from '../ending.ts'
import { until } from '../until.ts'

export interface Block {
  readonly name: string
  readonly id: string
  readonly data: unknown
}

export interface Source {
  /** Everything that was dispatched, over all connections. */
  readonly blocks: readonly Block[]
  readonly lastEventId: string
  /** Comments: heartbeats. */
  readonly comments: number
  readonly connections: number
  readonly retryMs: number
  events(): Event[]
  gaps(): Gap[]
  named(name: string): Block[]
  /** Waits for that many events in all. */
  seen(count: number, deadlineMs?: number): Promise<Event[]>
  /** Waits for a block of that name. */
  saw(name: string, count?: number): Promise<Block>
  /** Cuts the connection as a bad network does. */
  drop(): void
  close(): void
  /** The response that is open now. */
  readonly response: IncomingMessage | undefined
}

interface SourceOptions {
  readonly headers?: Readonly<Record<string, string>>
  /** Comes back after each end with `Last-Event-ID`. Default false. */
  readonly reconnect?: boolean
}

export async function listen(url: string, { headers = {}, reconnect = false }: SourceOptions = {}): Promise<Source> {
  const blocks: Block[] = []
  let lastEventId = ''
  let comments = 0
  let connections = 0
  let retryMs = 0
  let closed = false
  let request: ClientRequest | undefined
  let response: IncomingMessage | undefined

  const connect = () =>
    new Promise<void>((resolve, reject) => {
      const id = lastEventId === '' ? {} : { 'last-event-id': lastEventId }
      request = get(url, { agent: false, headers: { accept: 'text/event-stream', ...headers, ...id } }, (answer) => {
        response = answer
        connections += 1
        if (answer.statusCode !== 200) {
          closed = true
          reject(new Error(`answered ${answer.statusCode}`))
          answer.resume()
          return
        }
        read(answer)
        resolve()
      })
      request.on('error', reject)
      request.on('close', again)
    })

  function again(): void {
    if (closed || !reconnect) return
    setTimeout(() => {
      if (!closed) connect().catch(() => {})
    }, 5)
  }

  function read(answer: IncomingMessage): void {
    let rest = ''
    let id = lastEventId
    answer.setEncoding('utf8')
    answer.on('error', () => {})
    answer.on('data', (chunk: string) => {
      rest += chunk
      for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
        id = dispatch(rest.slice(0, end), id)
        rest = rest.slice(end + 2)
      }
    })
  }

  function dispatch(text: string, before: string): string {
    let name = 'message'
    let data: string | undefined
    let id = before
    for (const line of text.split('\n')) {
      const colon = line.indexOf(':')
      const field = line.slice(0, colon)
      const value = line.slice(colon + 1).replace(/^ /, '')
      if (colon === 0) comments += 1
      else if (field === 'event') name = value
      else if (field === 'id') id = value
      else if (field === 'retry') retryMs = Number(value)
      else if (field === 'data') data = data === undefined ? value : `${data}\n${value}`
      else throw new Error(`a line of no event stream: ${line}`)
    }
    lastEventId = id
    if (data !== undefined) blocks.push({ name, id, data: JSON.parse(data) })
    return id
  }

  const source: Source = {
    blocks,
    get lastEventId() {
      return lastEventId
    },
    get comments() {
      return comments
    },
    get connections() {
      return connections
    },
    get retryMs() {
      return retryMs
    },
    get response() {
      return response
    },
    named: (name) => blocks.filter((block) => block.name === name),
    events: () => source.named('message').map(({ data }) => data as Event),
    gaps: () => source.named('gap').map(({ data }) => data as Gap),
    async seen(count, deadlineMs = 10_000) {
      const have = () => source.named('message').length
      await until(() => have() >= count, { what: `${count} events`, deadlineMs, seen: have })
      return source.events()
    },
    async saw(name, count = 1) {
      const names = () => blocks.map((block) => block.name).slice(-10)
      await until(() => source.named(name).length >= count, { what: `${count} × ${name}`, seen: names })
      return source.named(name)[count - 1] as Block
    },
    drop: () => {
      request?.destroy()
    },
    close: () => {
      closed = true
      request?.destroy()
    },
  }
  atEnd(() => source.close())
  await connect()
  return source
}
