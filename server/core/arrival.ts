/** How long a request's body may take to arrive: whoever lets it drip would hold a connection and what came for good. */

import { startTimer } from '../../shared/timer.ts'

/** What is looked at of a request. */
interface Arriving {
  readonly complete: boolean
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly socket: { readonly bytesRead: number }
  once(event: 'close', listener: () => void): unknown
}

/** A body has a second more for each so many bytes that have come. */
const BYTES_A_SECOND = 16_384
const ONE_READING = 65_536

/** Calls `late` when the body has not come in time. */
export function boundArrival(request: Arriving, graceMs: number, late: () => void): void {
  const { 'content-length': length, 'transfer-encoding': chunked } = request.headers
  if (request.complete || (chunked === undefined && Number(length ?? 0) === 0)) return
  const began = performance.now()
  // What has come with the head counts; more than one reading of it is of requests before.
  const before = Math.max(0, request.socket.bytesRead - ONE_READING)
  let stop = startTimer(graceMs, look, { unref: true })
  request.once('close', () => stop())

  function look(): void {
    if (request.complete) return
    const allowedMs = graceMs + ((request.socket.bytesRead - before) / BYTES_A_SECOND) * 1_000
    const leftMs = began + allowedMs - performance.now()
    if (leftMs <= 0) {
      late()
      return
    }
    stop = startTimer(leftMs + 1, look, { unref: true })
  }
}
