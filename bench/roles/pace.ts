/** Publishes at a steady pace until it is told to stop. Each event carries the time of its call of publish. */

import { io } from 'socket.io-client'
import { importClient } from '../client.ts'
import { chosenProduct, serveCalls } from '../role.ts'
import { loadOf, sharedNowMs } from '../scenes/load.ts'

export interface Timed {
  /** By the clock that all processes share. */
  readonly sentAt: number
}

/** Answers the offset. */
let publish: (event: Timed) => Promise<number> = () => Promise.reject(new Error('not open'))
let halt: () => Promise<number> = () => Promise.reject(new Error('not begun'))

const calls = {
  async open({ url, to, topic }: { url: string; to: 'hub' | 'logged'; topic: string }): Promise<void> {
    if (to === 'hub') {
      const { connect } = await importClient(chosenProduct())
      const handle = connect<{ topics: Record<string, Timed> }>(url, { transports: ['websocket'] }).topic(topic)
      publish = async (event) => (await handle.publish(event)).offset
    } else {
      const socket = io(url, { transports: ['websocket'], forceNew: true, reconnection: false })
      await new Promise<void>((resolve, reject) => {
        socket.once('live', resolve)
        socket.once('connect_error', reject)
      })
      publish = (event) => socket.emitWithAck('publish', event)
    }
  },

  /** So many events, as fast as they go. Answers the offset of the last. */
  async publish({ count }: { count: number }): Promise<number> {
    const offsets = await Promise.all(Array.from({ length: count }, () => publish(timed())))
    return Math.max(...offsets)
  },

  /** Begins to publish. */
  begin({ everyMs }: { everyMs: number }): void {
    const sent: Promise<number>[] = []
    const started = performance.now()
    let timer: NodeJS.Timeout | undefined
    const next = () => {
      sent.push(publish(timed()))
      timer = setTimeout(next, Math.max(0, started + sent.length * everyMs - performance.now()))
    }
    next()
    halt = async () => {
      clearTimeout(timer)
      return Math.max(...(await Promise.all(sent)))
    }
  },

  /** Stops; answers the offset of the last event when it is stored. */
  end(): Promise<number> {
    return halt()
  },
}

function timed(): Timed {
  return { ...loadOf(0), sentAt: sharedNowMs() }
}

export type PaceCalls = typeof calls

serveCalls(calls)
