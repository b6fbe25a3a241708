/** Publishes to NATS: to a stream with a reply to each event, or to whoever listens. */

import { serveCalls } from '../role.ts'
import { keepOutstanding, loadOf, sharedNowMs } from '../scenes/load.ts'
import { NatsLink } from '../scenes/natsLink.ts'

const STREAM = 'bench'
const INBOX = '_INBOX.receipts'

let link: NatsLink | undefined
let lastNumber = 0
const waiting: (() => void)[] = []
let refused: string | undefined

const calls = {
  /** Creates the stream on disk, with one replica. */
  async open({ port, subject, stream }: { port: number; subject: string; stream: boolean }): Promise<void> {
    link = await NatsLink.open(port)
    if (stream)
      await link.request(`$JS.API.STREAM.CREATE.${STREAM}`, {
        name: STREAM,
        subjects: [subject],
        storage: 'file',
        retention: 'limits',
        num_replicas: 1,
        discard: 'old',
        max_consumers: -1,
        max_msgs: -1,
        max_bytes: -1,
        max_age: 0,
      })
    // Receipts come in the order of what was published.
    link.subscribe(INBOX, (chunk, from, to) => {
      const text = chunk.toString('utf8', from, to)
      if (text.includes('"error"')) refused = text
      waiting.shift()?.()
    })
    await link.settled()
  },

  /** Publishes `count` events to a stream, `outstanding` at a time, each with its receipt. */
  async toStream({ subject, count, outstanding }: { subject: string; count: number; outstanding: number }) {
    const open = theLink()
    const startedAt = sharedNowMs()
    await keepOutstanding(count, outstanding, () => {
      lastNumber += 1
      open.publish(subject, INBOX, JSON.stringify(loadOf(lastNumber)))
      return new Promise<void>((resolve) => waiting.push(resolve))
    })
    if (refused !== undefined) throw new Error(`NATS refused: ${refused}`)
    return { startedAt, ms: sharedNowMs() - startedAt }
  },

  /** The same without receipts and without a stream: in groups, each when the server has taken the one before. */
  async toAll({ subject, count, outstanding }: { subject: string; count: number; outstanding: number }) {
    const open = theLink()
    const startedAt = sharedNowMs()
    for (let done = 0; done < count; done += outstanding) {
      for (let i = 0; i < Math.min(outstanding, count - done); i++) {
        lastNumber += 1
        open.publish(subject, '', JSON.stringify(loadOf(lastNumber)))
      }
      await open.settled()
    }
    return { startedAt, ms: sharedNowMs() - startedAt }
  },
}

function theLink(): NatsLink {
  if (link === undefined) throw new Error('not connected to NATS')
  return link
}

export type NatsCalls = typeof calls

serveCalls(calls)
