/** How long a request's body may take to arrive: whoever lets it drip would hold a connection and what came for good. */

import { startTimer } from '../../../shared/timer.ts'

/** What is looked at of a request. */
interface Arriving {
  readonly complete: boolean
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly socket: { readonly bytesRead: number }
  once(event: 'close', listener: () => void): unknown
}

/** So many bytes have to come in each stretch of the time that is given, until the body is there. */
const BYTES = 16_384

/** Calls `late` when too little of the body has come for `stretchMs`. */
export function boundArrival(request: Arriving, stretchMs: number, late: () => void): void {
  const { 'content-length': length, 'transfer-encoding': chunked } = request.headers
  if (request.complete || (chunked === undefined && Number(length ?? 0) === 0)) return
  let before = request.socket.bytesRead
  let stop = startTimer(stretchMs, look, { unref: true })
  request.once('close', () => stop())

  function look(): void {
    if (request.complete) return
    const { bytesRead } = request.socket
    if (bytesRead - before < BYTES) {
      late()
      return
    }
    before = bytesRead
    stop = startTimer(stretchMs, look, { unref: true })
  }
}
