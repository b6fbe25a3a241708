/** Open consoles, in a process of their own: each asks a hub for what its page shows, as often as the page does. */

import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { io, type Socket } from 'socket.io-client'
import { serveCalls } from '../role.ts'

/** As the pages look again (console/console). */
const LOOK_MS = 2_000
const TAIL_REST_MS = 300
const TAIL_PAGE = 100
const TAIL_WAIT_MS = 20_000

let summaries = 0
let looks = 0
let problem: unknown

const calls = {
  /** A third of them shows the overview, a third a list of topics, a third the log of `topic`. */
  async open({ url, topic, count }: { url: string; topic: string; count: number }): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
    const open = async (i: number) => {
      const socket = io(`${url}/console`, { transports: ['websocket'], forceNew: true, reconnection: false })
      socket.on('summary', () => {
        summaries += 1
      })
      await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject))
      await ask(socket, 'history')
      if (i % 3 === 1) go(() => list(socket))
      if (i % 3 === 2) go(() => tail(agent, `${url}/v1/topics/${topic}`))
    }
    await Promise.all(Array.from({ length: count }, (_, i) => open(i)))
  },

  /** Since it was asked last. Rejects where a console was refused something. */
  seen() {
    if (problem !== undefined) throw problem
    const answer = { summaries, looks }
    summaries = 0
    looks = 0
    return answer
  },
}

function go(page: () => Promise<void>): void {
  page().catch((error: unknown) => {
    problem = error
  })
}

async function list(socket: Socket): Promise<void> {
  for (;;) {
    await ask(socket, 'topics', { sort: 'perSecond', descending: true, limit: 100 })
    looks += 1
    await sleep(LOOK_MS)
  }
}

async function tail(agent: Agent, topic: string): Promise<void> {
  let after = 0
  let lookedAt = 0
  for (;;) {
    const { last, events } = await page(
      agent,
      `${topic}/events?after=${after}&limit=${TAIL_PAGE}&waitMs=${TAIL_WAIT_MS}`,
    )
    after = events.at(-1)?.offset ?? last
    if (last - after > TAIL_PAGE) after = last - TAIL_PAGE
    looks += 1
    if (performance.now() - lookedAt > LOOK_MS) {
      lookedAt = performance.now()
      await page(agent, topic)
    }
    await sleep(TAIL_REST_MS)
  }
}

async function ask(socket: Socket, call: string, ...args: unknown[]): Promise<void> {
  const reply = await socket.emitWithAck(call, ...args)
  if (!reply.ok) throw new Error(`${call} was refused: ${reply.error.message}`)
}

interface Page {
  readonly last: number
  readonly events: readonly { readonly offset: number }[]
}

async function page(agent: Agent, url: string): Promise<Page> {
  return await new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        text += part
      })
      response.on('end', () => {
        if (response.statusCode === 200) resolve(JSON.parse(text))
        else reject(new Error(`${url} was answered with ${response.statusCode}`))
      })
    }).on('error', reject)
  })
}

export type ConsolesCalls = typeof calls

serveCalls(calls)
