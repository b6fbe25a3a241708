/** A plain socket.io-client in the namespace of the queues, and what it was handed. No SDK. */

import type { ConsumeOptions, Consuming, Job, Sent, Settled, Settlement } from '../../../shared/queues.ts'
import { until } from '../until.ts'
import { joinNamespace, type Wire } from './wire.ts'

export interface JobWire extends Wire {
  send(queue: string, ...drafts: readonly object[]): Promise<Sent>
  consume(queue: string, options: ConsumeOptions): Promise<Consuming>
  settle(queue: string, ...settlements: readonly Settlement[]): Promise<readonly Settled[]>
  /** All jobs that have come so far. */
  jobs(): Job[]
  /** Waits until so many jobs have come in all; gives them. */
  jobsSeen(count: number, deadlineMs?: number): Promise<Job[]>
  /** Ids that were told to be lost. */
  lost(): string[]
}

type JoinOptions = Parameters<typeof joinNamespace>[3]

export async function joinQueues(url: string, auth: object = {}, options: JoinOptions = {}): Promise<JobWire> {
  const wire = await joinNamespace(url, '/queues', { ...auth }, options)
  const second = <T>(name: string): T[] =>
    wire.packets.filter((packet) => packet.name === name).flatMap((packet) => packet.args[1] as T[])
  return {
    ...wire,
    send: (queue, ...drafts) => wire.value('send', queue, drafts),
    consume: (queue, given) => wire.value('consume', queue, given),
    settle: (queue, ...settlements) => wire.value('settle', queue, settlements),
    jobs: () => second<Job>('jobs'),
    lost: () => second<string>('lost'),
    jobsSeen: async (count, deadlineMs = 10_000) => {
      const ids = () => second<Job>('jobs').map(({ id }) => id)
      await until(() => ids().length >= count, { what: `${count} jobs`, deadlineMs, seen: () => ids().slice(-20) })
      return second<Job>('jobs')
    },
  }
}

/** Settles a job by its own lease. */
export function settlement(job: Job, as: 'done' | 'release' | 'retry' | 'dead' = 'done'): Settlement {
  return { id: job.id, lease: job.lease, as }
}
