/** Jobs that wait for others: what a sender may ask for, and what is told to whoever gets such a job. */

import { RepriseError } from '../../../shared/errors.ts'
import type { Limits } from '../../../shared/protocol.ts'
import type { ChildDraft, JobChild, JobDraft } from '../../../shared/queues.ts'
import type { Child, Store, StoredChildren, StoredJobDraft } from '../../store/contract/store.ts'
import { bodyBytes, contentOf } from '../body.ts'
import type { HubQueueSettings } from './settings.ts'

/** What a store writes of a result beside its text, at most. */
const FRAME_BYTES = 64

/** A draft with its children. Throws what is wrong with them, naming the draft that has them. */
export function withChildren(
  { children, onDeadChild }: Partial<JobDraft>,
  what: string,
  limits: Limits,
  store: (children: readonly ChildDraft[]) => readonly StoredJobDraft[],
): { readonly children?: StoredChildren } {
  if (children === undefined) {
    if (onDeadChild === undefined) return {}
    throw new RepriseError('bad_request', `${what} has onDeadChild, but no children`)
  }
  const drafts = inside(what, () => store(children))
  return {
    children: {
      drafts,
      onDead: onDeadChild ?? 'fail',
      bytes: limits.payload + FRAME_BYTES * children.length,
    },
  }
}

function inside<T>(what: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof RepriseError)) throw error
    throw new RepriseError(error.code, `children of ${what}: ${error.message}`, { cause: error })
  }
}

/** How many drafts they are, with all children. */
export function countOf(drafts: readonly Partial<JobDraft>[]): number {
  let count = drafts.length
  for (const { children } of drafts) if (children !== undefined) count += countOf(children)
  return count
}

/** The queues that children of these drafts are of, where those are not that of their parents. */
export function queuesOf(drafts: readonly Partial<ChildDraft>[], own: string, found = new Set<string>()): Set<string> {
  for (const { queue = own, children } of drafts) {
    if (queue !== own) found.add(queue)
    if (children !== undefined) queuesOf(children, queue, found)
  }
  return found
}

interface Load {
  readonly jobs: number
  readonly bytes: number
}

/** What children of these drafts bring to other queues than their parents', by those; theirs count with them. */
export function elsewhereOf(drafts: readonly StoredJobDraft[], found = new Map<string, Load>()): Map<string, Load> {
  for (const { children } of drafts) {
    for (const { queue, ...child } of children?.drafts ?? []) {
      if (queue !== undefined) found.set(queue, localOf([child], found.get(queue)))
      elsewhereOf([child], found)
    }
  }
  return found
}

/** What those are that stay in one queue, with those below them. */
function localOf(drafts: readonly StoredJobDraft[], before: Load = { jobs: 0, bytes: 0 }): Load {
  let load = before
  for (const { queue, body, children } of drafts) {
    if (queue !== undefined) continue
    load = localOf(children?.drafts ?? [], { jobs: load.jobs + 1, bytes: load.bytes + bodyBytes(body) })
  }
  return load
}

/** Children are carried to other queues whatever those hold by then. Why they are refused now: one of them is full. */
export async function refusalOf(
  store: Store,
  settings: Pick<HubQueueSettings, 'forQueue'>,
  children: ReadonlyMap<string, Load>,
): Promise<{ readonly noChildren?: string }> {
  if (children.size === 0) return {}
  const infos = await store.queues.list({ names: [...children.keys()] })
  for (const [queue, more] of children) {
    const { maxJobs, maxBytes } = settings.forQueue(queue)
    const { counts, bytes = 0 } = infos.find((info) => info.queue === queue) ?? {}
    const jobs = counts === undefined ? 0 : counts.ready + counts.delayed + counts.held + counts.waiting
    if (jobs + more.jobs <= maxJobs && bytes + more.bytes <= maxBytes) continue
    const noChildren = `the queue ${queue} is full, to which it has children: it takes ${maxJobs} jobs and ${maxBytes} bytes`
    return { noChildren }
  }
  return {}
}

/** How many of them are ready when they are stored. */
export function readyOf(drafts: readonly StoredJobDraft[]): number {
  let ready = 0
  for (const { queue, due, children } of drafts) {
    if (queue !== undefined) continue
    if (children !== undefined) ready += readyOf(children.drafts)
    else if (due === undefined) ready++
  }
  return ready
}

/** What is told of the children of a job, with binary in place. */
export function childObjects(queue: string, children: readonly Child[]): JobChild[] {
  return children.map(({ result, ...rest }) => ({
    queue,
    ...rest,
    ...(result !== undefined && { result: contentOf(result).data }),
  }))
}

export function haveBinary(children: readonly Child[] | undefined): boolean {
  return children?.some(({ result }) => result?.binaries !== undefined) === true
}

/** The same as JSON text, from the texts that are stored. Only where none has binary. */
export function childrenText(queue: string, children: readonly Child[]): string {
  const texts = children.map((child) =>
    childText(child.queue === undefined ? queue : JSON.stringify(child.queue), child),
  )
  return `[${texts.join(',')}]`
}

const RESULT = '{"data":'

function childText(queue: string, { id, state, result, error }: Child): string {
  const text = result === undefined ? '' : `,"result":${result.json.slice(RESULT.length, -1)}`
  const why = error === undefined ? '' : `,"error":${JSON.stringify(error)}`
  return `{"queue":${queue},"id":${JSON.stringify(id)},"state":"${state}"${text}${why}}`
}
