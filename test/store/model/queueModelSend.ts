/** How the model takes jobs in: numbers, ids, limits, names. */

import { sizeBody } from '../../../server/store/codec.ts'
import type { Enqueue, StoredJobDraft } from '../../../server/store/contract/store.ts'
import { RepriseError } from '../../../shared/errors.ts'
import type { ModelSchedules } from '../scheduleSteps.ts'
import { stand } from './queueModelGroups.ts'
import { bytesOf, MINUTE, type ModelJob, type ModelPlace } from './queueModelJobs.ts'
import { type ModelErrand, type ModelQueue, Turning } from './queueModelTimers.ts'

const DAY = 86_400_000

/** Itself and all below that is of its queue. */
function withChildren(draft: StoredJobDraft): StoredJobDraft[] {
  return [draft, ...(draft.children?.drafts.flatMap((one) => (one.queue === undefined ? withChildren(one) : [])) ?? [])]
}

export class Sending extends Turning {
  readonly schedules: ModelSchedules = new Map()

  /** A queue is known from here on. */
  know(name: string): void {
    this.made(name)
  }

  enqueue(
    name: string,
    given: Enqueue,
    theirs: readonly string[],
    theirChildren: readonly string[] = [],
    parents: readonly ModelPlace[] = [],
  ): { ids: string[]; duplicates: number; duplicatesAt?: number[] } {
    const known = this.queues.get(name)
    const { subject, drafts, limit, producer, binding, carried } = given
    if (binding !== undefined) {
      const stands = known?.bindings.get(binding.topic)
      if (stands === undefined || stands.epoch !== binding.from.epoch || stands.offset !== binding.from.offset) {
        throw new RepriseError('conflict', 'it stands elsewhere')
      }
    }
    const key = `${subject}/${producer?.name}`
    const kept = known?.producers.get(key)
    const row = kept !== undefined && this.now - kept.usedAt < 7 * DAY ? kept : undefined
    const ids: string[] = []
    if (producer !== undefined) {
      const next = row === undefined ? producer.seq : row.start + row.ids.length
      if (row === undefined ? producer.seq > 1 : producer.seq > next) throw new RepriseError('conflict', 'skipped')
      for (let seq = producer.seq; seq < Math.min(next, producer.seq + drafts.length); seq++) {
        const id = row?.ids[seq - row.start]
        if (id === undefined || seq < next - 1_024) throw new RepriseError('conflict', 'not kept')
        ids.push(id)
      }
    }
    const repeated = ids.length
    const fresh = new Map<number, StoredJobDraft>()
    const inThisCall = new Map<string, number>()
    const sameAs = new Map<number, number>()
    drafts.forEach((draft, i) => {
      if (i < repeated) return
      if (this.#hasCome(known, carried, i)) {
        ids[i] = ''
        return
      }
      const { id } = draft
      const before = id === undefined || binding ? undefined : known?.ids.get(`${subject}/${id}`)
      const earlier = id === undefined || binding ? undefined : inThisCall.get(id)
      if (earlier !== undefined) sameAs.set(i, earlier)
      else if (before !== undefined && this.now < before.until) ids[i] = before.id
      else {
        fresh.set(i, draft)
        if (id !== undefined) inThisCall.set(id, i)
      }
    })
    const jobs = [...fresh.values()].filter(({ dead }) => dead === undefined)
    const all = jobs.flatMap(withChildren)
    const bytes = all.reduce((sum, { body }) => sum + sizeBody(body).bytes, 0)
    const [has, hasBytes] = known === undefined ? [0, 0] : [known.main.jobs.size, bytesOf(known.main)]
    const isOver = jobs.length > 0 && (has + all.length > limit.jobs || hasBytes + bytes > limit.bytes)
    if (isOver && carried === undefined) {
      throw new RepriseError('too_many', 'full')
    }
    const queue = this.made(name)
    if (given.grouped !== undefined) queue.main.grouped = given.grouped
    if (given.events !== undefined) queue.isLived = given.events
    const childIds = [...theirChildren]
    const add = (draft: StoredJobDraft, id: string, remembers: boolean, parent?: ModelJob['parent']): string => {
      const made = this.#add(queue, subject, draft, id, remembers, parent)
      const among = queue.main.jobs.get(made)?.children
      draft.children?.drafts.forEach(({ queue: to, ...child }, at) => {
        if (among === undefined) return
        const place = { id: made, at, among }
        if (to === undefined) among.ids.push(add(child, childIds.shift() ?? '', false, place))
        else {
          among.ids.push('')
          among.queues.set(at, to)
          this.leave(queue, { errand: 'child', to, subject, draft: child, parent: { ...place, queue: name } })
        }
      })
      return made
    }
    for (const [i, draft] of fresh) ids[i] = add(draft, theirs[i] ?? '', binding === undefined, parents[i])
    if (carried !== undefined) {
      const last = carried.children.at(-1)?.number ?? 0
      const before = queue.carried.get(carried.queue)
      const number = before?.row === carried.row ? Math.max(before.number, last) : last
      queue.carried.set(carried.queue, { row: carried.row, number })
    }
    if (childIds.length > 0) throw new Error(`there are more children than were sent: ${childIds}`)
    for (const [i, first] of sameAs) ids[i] = ids[first] ?? ''
    if (producer !== undefined) {
      const taken = row ?? { start: producer.seq, usedAt: 0, ids: [] }
      taken.ids.push(...ids.slice(repeated))
      taken.usedAt = this.now
      queue.producers.set(key, taken)
    }
    if (binding !== undefined) queue.bindings.set(binding.topic, binding.to)
    const duplicatesAt = drafts.flatMap((_, i) => (fresh.has(i) ? [] : [i]))
    return { ids, duplicates: duplicatesAt.length, ...(duplicatesAt.length > 0 && { duplicatesAt }) }
  }

  /** A child in the queue `from` has ended. */
  tellParent(from: string, left: ModelErrand): void {
    const queue = this.queues.get(left.to)
    if (queue === undefined || left.errand !== 'ended') return
    this.childTold(queue, left.parent, { queue: from, ...left.child })
    stand(queue.main)
  }

  /** A child from another queue that was here before. */
  #hasCome(queue: ModelQueue | undefined, carried: Enqueue['carried'], at: number): boolean {
    const before = carried && queue?.carried.get(carried.queue)
    return before !== undefined && before.row === carried?.row && (carried.children[at]?.number ?? 0) <= before.number
  }

  #add(
    queue: ModelQueue,
    subject: string,
    draft: StoredJobDraft,
    theirs: string,
    remembers: boolean,
    parent: ModelJob['parent'],
  ): string {
    const { now } = this
    const isTaken = (id: string): boolean =>
      queue.main.jobs.has(id) || queue.dead.jobs.has(id) || (queue.answers.get(id)?.replyBy ?? 0) > now
    const { key, group, body, priority, due, replyMs, ttlMs, policy } = draft
    const mayBe =
      draft.id === undefined || isTaken(draft.id)
        ? !isTaken(theirs) && theirs.startsWith(draft.id === undefined ? '' : `${draft.id}~`)
        : theirs === draft.id
    if (!mayBe || theirs === '') throw new Error(`a draft with the id ${draft.id} became the job ${theirs}`)
    queue.finished.replaced(theirs)
    const half = draft.dead === undefined ? queue.main : queue.dead
    const replyBy = replyMs === undefined ? undefined : now + replyMs
    if (draft.id !== undefined && remembers) {
      const until = Math.max(now + 5 * MINUTE, replyBy ?? 0)
      queue.ids.set(`${subject}/${draft.id}`, { id: theirs, until })
    }
    const dueAt = due === undefined || half.isDead ? now : Math.max(now, 'at' in due ? due.at : now + due.delayMs)
    queue.sends++
    queue.main.sent++
    if (half.isDead) half.sent++
    const isDue = dueAt <= now
    const { children } = draft
    const waits = children !== undefined
    half.jobs.set(theirs, {
      ...{ id: theirs, n: queue.sends, subject, key, priority, sentAt: now, cameAt: now, dueAt, replyBy, body },
      group,
      ttlMs,
      policy,
      ...{ state: waits ? 'waiting' : isDue ? 'ready' : 'delayed' },
      ...{ place: isDue && !waits ? ++half.places : 0, line: half.places },
      parent,
      children: children && {
        ids: [],
        queues: new Map(),
        ended: new Map(),
        bytes: 0,
        most: children.bytes,
        onDead: children.onDead,
      },
      ...{ attempts: 0, deliveries: 0, suspect: false, history: [] },
      dead: draft.dead === undefined ? undefined : { ...draft.dead, at: now },
      lease: undefined,
    })
    this.lives(queue, { kind: 'sent', id: theirs, ...(!isDue && { dueAt }) })
    if (draft.dead !== undefined) {
      this.lives(queue, { kind: 'dead', id: theirs, error: draft.dead.error ?? draft.dead.reason })
    }
    stand(half)
    return theirs
  }
}
