/** Publishes to the limit of the wire: makes the text of the hub's packets itself. */

import { WebSocket } from 'ws'
import { serveCalls } from '../role.ts'
import { keepOutstanding, loadOf, sharedNowMs } from '../scenes/load.ts'

let socket: WebSocket | undefined
let head = 0
let prefix = ''
const waiting: (() => void)[] = []

const calls = {
  async open({ url, topic }: { url: string; topic: string }): Promise<void> {
    prefix = `42/topics/${topic},["events",`
    const opened = new WebSocket(`${url.replace('http', 'ws')}/publish`, { perMessageDeflate: false })
    opened.on('message', () => waiting.shift()?.())
    await new Promise((resolve, reject) => {
      opened.once('open', resolve)
      opened.once('error', reject)
    })
    socket = opened
  },

  /** So many events in packets of `together`, with so many events outstanding. Answers when it began. */
  async send({ count, outstanding, together }: { count: number; outstanding: number; together: number }) {
    const open = socket
    if (open === undefined) throw new Error('not connected')
    const startedAt = sharedNowMs()
    await keepOutstanding(Math.ceil(count / together), Math.max(1, Math.round(outstanding / together)), (packet) => {
      const from = (packet - 1) * together
      const at = Date.now()
      const events = Array.from({ length: Math.min(together, count - from) }, (_, i) => {
        head += 1
        return { offset: head, at, data: loadOf(from + i) }
      })
      open.send(`${prefix}${JSON.stringify({ epoch: 'abcdefghijklmnop', events })}]`)
      return new Promise<void>((resolve) => waiting.push(resolve))
    })
    return { startedAt }
  },
}

export type FramerCalls = typeof calls

serveCalls(calls)
