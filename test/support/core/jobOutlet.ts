/** A consumer's way out that keeps what it is given. */

import { anonymous } from '../../../server/core/access.ts'
import type { JobClient, JobOutlet } from '../../../server/core/queues/delivery/outlet.ts'
import type { JobsPacket } from '../../../server/core/queues/delivery/packet.ts'
import type { HeldJob, Settlement } from '../../../server/store/contract/store.ts'
import type { WireError } from '../../../shared/errors.ts'

export class TestJobOutlet implements JobOutlet {
  readonly taken: HeldJob[] = []
  readonly gone: string[] = []
  readonly ended: string[] = []
  /** Whether the last of them was its only consumer. */
  wasLast = false
  overfull = false
  asked = 0
  #listeners: (() => void)[] = []

  jobs({ jobs }: JobsPacket): void {
    this.taken.push(...jobs)
  }

  lost(_queue: string, ids: readonly string[]): void {
    this.gone.push(...ids)
  }

  end(_queue: string, { code }: WireError, wasLast: boolean): void {
    this.ended.push(code)
    this.wasLast = wasLast
  }

  whenHeard(listener: () => void): void {
    this.#listeners.push(listener)
  }

  ask(): void {
    this.asked += 1
  }

  /** A packet of its connection comes. */
  heard(): void {
    for (const listener of this.#listeners.splice(0)) listener()
  }
}

export interface TestJobClient extends JobClient {
  readonly outlet: TestJobOutlet
}

export function jobClient(client: string): TestJobClient {
  return { caller: anonymous(client), id: client, outlet: new TestJobOutlet() }
}

export function done(jobs: readonly HeldJob[]): Settlement[] {
  return jobs.map(({ id, lease }) => ({ id, lease, as: 'done' }))
}
