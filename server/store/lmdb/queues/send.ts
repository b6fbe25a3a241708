/** The step that adds jobs to a queue: all checks first, then everything that is written. */

import { RepriseError } from '../../../../shared/errors.ts'
import { type SizedBody, sizeBody } from '../../codec.ts'
import type { Carried, Enqueue, Enqueued, StoredJobDraft } from '../../contract/store.ts'
import { duplicatesOf, forgottenOf } from '../../duplicates.ts'
import { draftHead } from '../../life/errands.ts'
import { bindingMoved, queueFull } from '../../refusals.ts'
import { unguessable } from '../../token.ts'
import { Ids } from '../dedup/ids.ts'
import { Producer } from '../dedup/producers.ts'
import { digest, digestKey } from '../engine/keys.ts'
import { TABLES } from '../engine/tables.ts'
import type { Transaction } from '../engine/transaction.ts'
import { keepChildren, placeAt, wordsOf } from './children.ts'
import { forgetFinished } from './finished.ts'
import { rememberRequest, requestOf } from './requests.ts'
import { freeId, howNamed, idOf, NAMED, newId } from './storage/jobNames.ts'
import { newJob } from './storage/jobs.ts'
import type { Queue } from './storage/queue.ts'
import type { CarriedRecord, Family, FamilyPlace } from './storage/records.ts'

interface Fresh {
  readonly draft: StoredJobDraft
  readonly n: number
  readonly id: string
  readonly sized: SizedBody
  readonly found: number
  readonly family?: Family
  /** Of its own children; and of those of other queues what is carried there. */
  readonly childIds?: readonly string[]
  readonly elsewhere?: readonly Elsewhere[]
}

interface Elsewhere {
  readonly to: string
  readonly parent: FamilyPlace
  readonly draft: StoredJobDraft
}

export function enqueue(transaction: Transaction, name: string, enqueue: Enqueue, maxIds: number): Enqueued {
  transaction.needRoom('more jobs')
  const known = transaction.queue(name)
  const { subject, drafts, producer, binding, limit } = enqueue
  checkBinding(name, known, enqueue)
  if (enqueue.carried === undefined && enqueue.events !== false) known?.life.checkRoom()
  const number = known?.record.main.number ?? UNKNOWN
  const sender = producer && new Producer(transaction, number, subject, producer.name)
  const repeated = producer && sender ? sender.duplicates(producer.seq, drafts.length, 'id') : []
  if (known === undefined && enqueue.carried === undefined) checkFirst(enqueue)
  const queue = known ?? transaction.queueMade(name)
  const { record, main } = queue
  // The first draft's, whatever comes under its number now.
  const ids = repeated.map((found, i) => sender?.nameOf((producer?.seq ?? 0) + i) ?? idOf(queue, found, drafts[i]?.id))

  const remembers = binding === undefined && drafts.some(({ id }) => id !== undefined)
  const remembered = remembers ? new Ids(transaction, record.main.number, subject, maxIds) : undefined
  const token = unguessable()
  const numbers = { main: record.main.lastJob, dead: record.dead.lastJob }
  const given = new Map<string, Fresh>()
  const taken = new Set<string>()
  const found = [...repeated]
  const fresh: Fresh[] = []
  const duplicatesAt = repeated.map((_, i) => i)
  const childIds: string[] = []
  let [jobs, bytes, leaves] = [0, 0, false]
  const { carried } = enqueue
  const came = carried && carriedBefore(transaction, queue, carried)
  for (const [at, draft] of drafts.slice(repeated.length).entries()) {
    const { id } = draft
    const child = carried?.children[at]
    if (child !== undefined && child.number <= (came?.number ?? 0)) {
      duplicatesAt.push(ids.length)
      ids.push('')
      continue
    }
    if (id !== undefined && remembered !== undefined) {
      const earlier = given.get(id)
      const before = earlier === undefined ? remembered.offsetOf(id) : earlier.found
      const asked = before === undefined ? requestOf(transaction, record.main.number, subject, id) : undefined
      if (before !== undefined || asked !== undefined) {
        duplicatesAt.push(ids.length)
        ids.push(earlier?.id ?? asked ?? idOf(queue, before ?? 0, id))
        found.push(before ?? NAMED.byDraft)
        continue
      }
    }
    const n = draft.dead === undefined ? ++numbers.main : ++numbers.dead
    const sized = sizeBody(draft.body)
    if (draft.dead === undefined) {
      jobs++
      bytes += sized.bytes
    }
    // Numbers of the dead letters are others than those of the queue.
    const ending = draft.dead === undefined ? '' : 'd'
    const named = id === undefined ? newId(queue, n, enqueue, token) + ending : freeId(transaction, queue, id, n, taken)
    const how = id === undefined ? NAMED.byStore : howNamed(named, id)
    const family = carried && child && { parent: placeAt(carried.queue, child.parent) }
    const one = { draft, n, id: named, sized, found: n * 4 + how, ...(family && { family }) }
    taken.add(named)
    if (id !== undefined) given.set(id, one)
    fresh.push(one)
    if (draft.children !== undefined) {
      const born = beget(
        one,
        () => ++numbers.main,
        (number) => newId(queue, number, enqueue, token),
      )
      fresh[fresh.length - 1] = born.parent
      fresh.push(...born.children)
      childIds.push(...born.children.map((child) => child.id))
      leaves ||= [born.parent, ...born.children].some(({ elsewhere = [] }) => elsewhere.length > 0)
      jobs += born.children.length
      bytes += born.children.reduce((sum, { sized }) => sum + sized.bytes, 0)
    }
    found.push(one.found)
    ids.push(named)
  }
  if (carried === undefined) checkLimit(queue, limit, jobs, bytes)
  if (leaves && enqueue.noChildren !== undefined) throw new RepriseError('too_many', enqueue.noChildren)
  if (carried === undefined && leaves) queue.life.checkRoom(queue.life.left)

  if (enqueue.events !== undefined) queue.life.isOn = enqueue.events
  if (enqueue.grouped !== undefined) main.counters.grouped = enqueue.grouped
  for (const one of fresh) add(transaction, queue, subject, one)
  let forgotten = 0
  if (remembered !== undefined) {
    forgotten = remembered.remember([...given].map(([id, one]) => ({ id, offset: one.found })))
    for (const [id, { n }] of given) {
      const job = main.job(n)
      if (job !== undefined) rememberRequest(transaction, record.main.number, job, id)
    }
  }
  if (producer !== undefined) {
    const names = ids.map((id, i) => ((found[i] ?? 0) % 4 === NAMED.byStore ? undefined : id))
    new Producer(transaction, record.main.number, subject, producer.name).take(producer.seq, found, names)
  }
  if (carried !== undefined) keepCarried(transaction, queue, carried)
  if (binding !== undefined) {
    record.bindings = record.bindings.map((one) =>
      one.topic === binding.topic ? { topic: one.topic, epoch: binding.to.epoch, offset: binding.to.offset } : one,
    )
  }
  const told = { ...duplicatesOf(duplicatesAt), ...forgottenOf(forgotten), ...(childIds.length > 0 && { childIds }) }
  return { ids, ...told, durability: 'fsync' }
}

function carriedKey({ record }: Queue, { queue }: Carried): Buffer {
  return digestKey(record.main.number, digest(queue))
}

/** How far they have come; `undefined` where none of this row has. */
function carriedBefore(transaction: Transaction, queue: Queue, carried: Carried): CarriedRecord | undefined {
  const record = transaction.get(TABLES.carried, carriedKey(queue, carried))
  return record?.row === carried.row ? record : undefined
}

function keepCarried(transaction: Transaction, queue: Queue, carried: Carried): void {
  const last = carried.children.at(-1)?.number ?? 0
  const number = Math.max(last, carriedBefore(transaction, queue, carried)?.number ?? 0)
  transaction.put(TABLES.carried, carriedKey(queue, carried), { row: carried.row, number })
}

/** No queue has this number. */
const UNKNOWN = 0

function checkBinding(name: string, queue: Queue | undefined, { binding }: Enqueue): void {
  if (binding === undefined) return
  const { topic, from } = binding
  const bound = queue?.record.bindings.find((one) => one.topic === topic)
  if (bound?.epoch !== from.epoch || bound.offset !== from.offset) throw bindingMoved(name, topic, bound)
}

function checkLimit({ record }: Queue, limit: Enqueue['limit'], jobs: number, bytes: number): void {
  const { ready, delayed, held, waiting = 0, bytes: kept } = record.main
  if (jobs > 0 && (ready + delayed + held + waiting + jobs > limit.jobs || kept + bytes > limit.bytes))
    throw queueFull(limit)
}

/** A call that is refused makes no queue. */
function checkFirst({ limit, drafts, noChildren }: Enqueue): void {
  const ids = new Set<string>()
  let [jobs, bytes] = [0, 0]
  for (const draft of drafts) {
    const { id, dead } = draft
    if (dead !== undefined || (id !== undefined && ids.has(id))) continue
    if (id !== undefined) ids.add(id)
    for (const { body, children } of withChildren(draft)) {
      const leaves = children?.drafts.some(({ queue }) => queue !== undefined) === true
      if (leaves && noChildren !== undefined) throw new RepriseError('too_many', noChildren)
      jobs++
      bytes += sizeBody(body).bytes
    }
  }
  if (jobs > limit.jobs || bytes > limit.bytes) throw queueFull(limit)
}

function* withChildren(draft: StoredJobDraft): Generator<StoredJobDraft> {
  yield draft
  for (const child of draft.children?.drafts ?? []) if (child.queue === undefined) yield* withChildren(child)
}

/** The children of a draft, depth first, and itself as their parent. They have higher numbers than it has. */
function beget(
  one: Fresh,
  number: () => number,
  idOf: (n: number) => string,
): { readonly parent: Fresh; readonly children: readonly Fresh[] } {
  const { drafts, onDead, bytes: most } = one.draft.children ?? { drafts: [], onDead: 'skip', bytes: 0 }
  const count = drafts.length
  const own: string[] = []
  const elsewhere: Elsewhere[] = []
  const children = drafts.flatMap((draft, at) => {
    const { queue: to, ...carried } = draft
    if (to !== undefined) {
      own.push('')
      elsewhere.push({ to, parent: { id: one.id, as: one.n, at }, draft: carried })
      return []
    }
    const n = number()
    const id = idOf(n)
    own.push(id)
    const family = { parent: { id: one.id, as: one.n, at } }
    const child = { draft, n, id, sized: sizeBody(draft.body), found: n * 4 + NAMED.byStore, family }
    if (draft.children === undefined) return [child]
    const below = beget(child, number, idOf)
    return [below.parent, ...below.children]
  })
  const family = { ...one.family, children: { as: one.n, count, open: count, bytes: 0, most, onDead } }
  return { parent: { ...one, family, childIds: own, elsewhere }, children }
}

function add(
  transaction: Transaction,
  queue: Queue,
  subject: string,
  { draft, n, id, sized, family, childIds, elsewhere = [] }: Fresh,
): void {
  const { now } = transaction
  const { record, main, dead } = queue
  const { key, group, priority, due, ttlMs, policy, replyMs } = draft
  const jobSet = draft.dead === undefined ? main : dead
  const dueAt = due === undefined ? now : Math.max(now, 'at' in due ? due.at : now + due.delayMs)
  const isDue = dueAt <= now || jobSet.isDead
  const replyBy = replyMs === undefined ? undefined : now + replyMs
  if (draft.id !== undefined) forgetFinished(transaction, queue, id)
  record.main.sent++
  if (jobSet.isDead) jobSet.counters.sent++
  jobSet.counters.lastJob = n
  const waits = childIds !== undefined
  const hasPlace = isDue && !waits
  if (hasPlace) jobSet.counters.lastPlace++
  const job = newJob({
    n,
    id,
    sentAs: draft.id,
    subject,
    key,
    group,
    priority,
    sentAt: now,
    cameAt: now,
    replyBy,
    ttlMs,
    policy,
    bytes: sized.bytes,
    dueAt,
    sequence: hasPlace ? jobSet.counters.lastPlace : 0,
    ...(waits && { state: 'waiting' as const }),
    ...family,
    dead: draft.dead === undefined ? undefined : { ...draft.dead, at: now },
  })
  jobSet.add(transaction, job, sized)
  if (waits) {
    const queues = Object.fromEntries(elsewhere.map(({ to, parent }) => [parent.at, to]))
    keepChildren(transaction, queue, n, childIds, queues)
  }
  queue.life.tell('sent', id, isDue ? {} : { dueAt })
  for (const child of elsewhere) {
    const head = { errand: 'child', to: child.to, parent: wordsOf(child.parent), subject } as const
    queue.life.leave({ ...head, draft: draftHead(child.draft) }, child.draft.body)
  }
  if (draft.dead !== undefined) queue.life.tell('dead', id, { error: draft.dead.error ?? draft.dead.reason })
  if (draft.dead !== undefined) transaction.lose(queue.name, { kind: 'dead', reason: draft.dead.reason, jobs: 1 })
}
