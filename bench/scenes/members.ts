/** A client that keeps its place: the SDK with a hub, or socket.io-client that tells a server with a log where it is. */

import { io } from 'socket.io-client'
import { importClient, type Place } from '../client.ts'
import type { Timed } from '../roles/pace.ts'

export interface Member {
  /** Its transport closes without a goodbye. */
  leave(): void
  /** Does nothing where it is connected. */
  back(): void
}

/** A member that could not connect tries again. */
const RETRY_MS = 200

type Take = (offset: number, sentAt: number) => void

/** Resolves when the member is live. */
export type Opener = (number: number, take: Take) => Promise<Member>

export async function openHubMember(place: Place, url: string, topic: string): Promise<Opener> {
  const { connect } = await importClient(place)
  return async (number, take) => {
    const hub = connect<{ topics: Record<string, Timed> }>(url, {
      client: `member-${process.pid}-${number}`,
      transports: ['websocket'],
    })
    const subscription = hub.topic(topic).subscribe(({ offset, data }) => take(offset, data.sentAt))
    await new Promise<void>((resolve, reject) => {
      subscription.onStatus(({ state }) => {
        if (state === 'live') resolve()
      })
      void subscription.ended.then(({ code }) => reject(new Error(`the subscription ended: ${code}`)))
    })
    return { leave: () => hub.suspend(), back: () => hub.resume() }
  }
}

export function openLoggedMember(url: string): Opener {
  return async (_number, take) => {
    // -1: from now on.
    let head = -1
    const socket = io(url, {
      transports: ['websocket'],
      forceNew: true,
      reconnection: false,
      auth: (told) => told(head === -1 ? { after: null } : { after: head }),
    })
    socket.on('events', ({ events }: { events: { offset: number; data: Timed }[] }) => {
      for (const { offset, data } of events) {
        head = offset
        take(offset, data.sentAt)
      }
    })
    let isAway = false
    const again = () => {
      if (!isAway) socket.connect()
    }
    // The transport may close only after it was called back, and an attempt may fail. Never twice at a time: a second
    // CONNECT would be a second subscription.
    socket.on('disconnect', again)
    socket.on('connect_error', () => setTimeout(again, RETRY_MS))
    await new Promise<void>((resolve) => socket.once('live', () => resolve()))
    return {
      leave: () => {
        isAway = true
        socket.io.engine?.close()
      },
      back: () => {
        if (!isAway) return
        isAway = false
        if (socket.disconnected) socket.connect()
      },
    }
  }
}
