/** Jobs on their way to a consumer. Their JSON text is put together from the texts that are stored. */

import { type Joined, join, MAX_ATTACHMENTS } from '../../../../shared/joined.ts'
import type { Job } from '../../../../shared/queues.ts'
import { bodyBytes } from '../../body.ts'
import { attachmentsOf, carried } from '../../joining.ts'
import { childObjects, childrenText, haveBinary } from '../children.ts'
import type { ReadableJob } from './damaged.ts'

const PACKET_BYTES = 262_144

export class JobsPacket {
  readonly queue: string
  readonly jobs: readonly ReadableJob[]
  /** Packets with binary data have no text; they are sent as objects. */
  readonly binary: boolean

  constructor(queue: string, jobs: readonly ReadableJob[], binary: boolean) {
    this.queue = queue
    this.jobs = jobs
    this.binary = binary
  }

  /** The JSON text of the list of jobs. Only where `binary` is `false`. */
  get text(): string {
    const queue = JSON.stringify(this.queue)
    let text = ''
    for (const job of this.jobs) text += text === '' ? jobText(queue, job) : `,${jobText(queue, job)}`
    return `[${text}]`
  }

  /** The same as objects, for encoders that do not know texts and for binary data. */
  toJSON(): Job[] {
    return this.jobs.map((job) => jobObject(this.queue, job))
  }
}

function jobText(
  queue: string,
  { id, lease, attempts, deliveries, sentAt, expiresAt, replyBy, runMs, children, body }: ReadableJob,
): string {
  const reply = replyBy === undefined ? '' : `"replyBy":${replyBy},`
  const run = runMs === undefined ? '' : `"runMs":${runMs},`
  const family = children === undefined ? '' : `"children":${childrenText(queue, children)},`
  const counts = `"attempts":${attempts},"deliveries":${deliveries},"sentAt":${sentAt},"expiresAt":${expiresAt}`
  return `{"queue":${queue},"id":${JSON.stringify(id)},"lease":${JSON.stringify(lease)},${counts},${reply}${run}${family}${body.json.slice(1)}`
}

/** Results with binary are joined, all of them: how many attachments they have, nobody bounds. */
function jobObject(
  queue: string,
  { body, children, ...rest }: ReadableJob,
): Job & { readonly joinedChildren?: Joined } {
  const job = { queue, ...rest, ...carried(body, body.binaries !== undefined || haveBinary(children)) }
  if (children === undefined) return job
  const told = childObjects(queue, children)
  return haveBinary(children) ? { ...job, joinedChildren: join(told) } : { ...job, children: told }
}

function hasBinary({ body, children }: Pick<ReadableJob, 'body' | 'children'>): boolean {
  return body.binaries !== undefined || haveBinary(children)
}

/** Of all results. */
function childrenBytes({ children = [] }: ReadableJob): number {
  let bytes = 0
  for (const { result } of children) if (result !== undefined) bytes += bodyBytes(result)
  return bytes
}

/** Cuts jobs into packets, in order. */
export function jobsPackets(queue: string, jobs: readonly ReadableJob[]): JobsPacket[] {
  const packets: JobsPacket[] = []
  let run: ReadableJob[] = []
  let bytes = 0
  let attachments = 0
  let binary = false
  const flush = () => {
    if (run.length > 0) packets.push(new JobsPacket(queue, run, binary))
    run = []
    bytes = attachments = 0
  }
  for (const job of jobs) {
    const size = bodyBytes(job.body) + (job.children === undefined ? 0 : childrenBytes(job))
    const isBinary = hasBinary(job)
    const more = attachmentsOf(job.body) + (haveBinary(job.children) ? 1 : 0)
    const full = bytes + size > PACKET_BYTES || attachments + more > MAX_ATTACHMENTS
    if (run.length > 0 && (full || isBinary !== binary)) flush()
    binary = isBinary
    bytes += size
    attachments += more
    run.push(job)
  }
  flush()
  return packets
}
