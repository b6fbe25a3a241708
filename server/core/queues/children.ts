/** Jobs that wait for others: what a sender may ask for, and what is told to whoever gets such a job. */

import { RepriseError } from '../../../shared/errors.ts'
import type { Limits } from '../../../shared/protocol.ts'
import type { ChildDraft, JobChild, JobDraft } from '../../../shared/queues.ts'
import type { Child, StoredChildren, StoredJobDraft } from '../../store/contract/store.ts'
import { contentOf } from '../body.ts'

/** What a store writes of a result beside its text, at most. */
const FRAME_BYTES = 64

/** A draft with its children. Throws what is wrong with them, naming the draft that has them. */
export function withChildren(
  queue: string,
  { children, onDeadChild }: Partial<JobDraft>,
  what: string,
  limits: Limits,
  store: (children: readonly ChildDraft[]) => readonly StoredJobDraft[],
): { readonly children?: StoredChildren } {
  if (children === undefined) {
    if (onDeadChild === undefined) return {}
    throw new RepriseError('bad_request', `${what} has onDeadChild, but no children`)
  }
  const elsewhere = children.findIndex((child) => child.queue !== undefined && child.queue !== queue)
  if (elsewhere >= 0) {
    const text = `${what}: child ${elsewhere} is of the queue ${children[elsewhere]?.queue}; children are of their parent's, ${queue}`
    throw new RepriseError('bad_request', text)
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

/** How many of them are ready when they are stored. */
export function readyOf(drafts: readonly StoredJobDraft[]): number {
  let ready = 0
  for (const { due, children } of drafts) {
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
  return `[${children.map((child) => childText(queue, child)).join(',')}]`
}

const RESULT = '{"data":'

function childText(queue: string, { id, state, result, error }: Child): string {
  const text = result === undefined ? '' : `,"result":${result.json.slice(RESULT.length, -1)}`
  const why = error === undefined ? '' : `,"error":${JSON.stringify(error)}`
  return `{"queue":${queue},"id":${JSON.stringify(id)},"state":"${state}"${text}${why}}`
}
