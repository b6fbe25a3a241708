/** The port through which a consumer is reached, and who it is. Implemented for Socket.IO and for HTTP's claims. */

import type { WireError } from '../../../../shared/errors.ts'
import type { Caller } from '../../access.ts'
import type { Reachable } from '../../beginning.ts'
import type { JobsPacket } from './packet.ts'

export interface JobOutlet extends Reachable {
  jobs(packet: JobsPacket): void
  /** These leases are no longer the client's. */
  lost(queue: string, ids: readonly string[]): void
  /** Its consumer of this queue is over. Where it was the client's last one it is not to come back by itself. */
  end(queue: string, error: WireError, wasLast: boolean): void
  /** Calls `listener` once, at the next packet of its connection. Without it nothing can be told from its silence. */
  whenHeard?(listener: () => void): void
  /** Asks for such a packet at once. */
  ask?(): void
  /** `true` when so much waits to be written that it gets no more jobs for now. */
  readonly overfull: boolean
}

/** One connection, or one claim over HTTP. */
export interface JobClient {
  readonly caller: Caller
  /** Names the consumer where the caller has no `client`; nobody else has it. */
  readonly id: string
  readonly outlet: JobOutlet
  /** It takes one delivery and goes: whoever asked for it has the jobs, and is not lost. */
  readonly once?: true
}
