/** The step that adds jobs to a queue: all checks first, then everything that is written. */

import { hash } from 'node:crypto'
import { RepriseError } from '../../../shared/errors.ts'
import { type SizedBody, sizeBody } from '../codec.ts'
import type { Enqueue, Enqueued, StoredJobDraft } from '../contract.ts'
import { queueFull } from '../queueFull.ts'
import { isAnswered, rememberRequest, requestOf } from './answers.ts'
import { Ids } from './ids.ts'
import { newJob, numberIn } from './jobs.ts'
import type { Plan } from './plan.ts'
import { Producer } from './producers.ts'
import { type Queue, queueIn, queueMade, tellWork } from './queueCache.ts'

/** How a job got its id, for those who have to find it again by its number: `number * 4 + how`. */
const NAMED = { byStore: 0, byDraft: 1, numbered: 2 } as const

interface Fresh {
  readonly draft: StoredJobDraft
  readonly n: number
  readonly id: string
  readonly sized: SizedBody
  readonly found: number
}

export function planEnqueue(plan: Plan, name: string, enqueue: Enqueue, maxIds: number): Enqueued {
  plan.needRoom('more jobs')
  const known = queueIn(plan, name)
  const { subject, drafts, producer, binding, limit } = enqueue
  checkBinding(known, enqueue)
  const number = known?.record.main.number ?? UNKNOWN
  const sender = producer && new Producer(plan, number, subject, producer.name)
  const repeated = producer && sender ? sender.duplicates(producer.seq, drafts.length) : []
  if (known === undefined) checkFirst(limit, drafts)
  const queue = known ?? queueMade(plan, name)
  const { record, main } = queue
  const ids = repeated.map((found, i) => idOf(queue, found, drafts[i]))

  const remembers = binding === undefined && drafts.some(({ id }) => id !== undefined)
  const remembered = remembers ? new Ids(plan, record.main.number, subject, maxIds) : undefined
  const numbers = { main: record.main.lastJob, dead: record.dead.lastJob }
  const given = new Map<string, Fresh>()
  const taken = new Set<string>()
  const found = [...repeated]
  const fresh: Fresh[] = []
  let duplicates = repeated.length
  let [jobs, bytes] = [0, 0]
  for (const draft of drafts.slice(repeated.length)) {
    const { id } = draft
    if (id !== undefined && remembered !== undefined) {
      const earlier = given.get(id)
      const before = earlier === undefined ? remembered.offsetOf(id) : earlier.found
      const asked = before === undefined ? requestOf(plan, record.main.number, subject, id) : undefined
      if (before !== undefined || asked !== undefined) {
        duplicates++
        ids.push(earlier?.id ?? asked ?? idOf(queue, before ?? 0, draft))
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
    const named = id === undefined ? newId(queue, n, enqueue) + ending : freeId(plan, queue, id, n, taken)
    const how = id === undefined ? NAMED.byStore : howNamed(named, id)
    const one = { draft, n, id: named, sized, found: n * 4 + how }
    taken.add(named)
    if (id !== undefined) given.set(id, one)
    fresh.push(one)
    found.push(one.found)
    ids.push(named)
  }
  checkLimit(queue, limit, jobs, bytes)

  for (const one of fresh) add(plan, queue, subject, one)
  if (remembered !== undefined) {
    remembered.remember([...given].map(([id, one]) => ({ id, offset: one.found })))
    for (const [id, { n }] of given) {
      const job = main.job(n)
      if (job !== undefined) rememberRequest(plan, record.main.number, job, id)
    }
  }
  if (producer !== undefined) new Producer(plan, record.main.number, subject, producer.name).take(producer.seq, found)
  if (binding !== undefined) {
    record.bindings = record.bindings.map((one) =>
      one.topic === binding.topic ? { topic: one.topic, epoch: binding.to.epoch, offset: binding.to.offset } : one,
    )
  }
  tellWork(queue)
  return { ids, duplicates, durability: 'fsync' }
}

/** No queue has this number. */
const UNKNOWN = 0

function howNamed(named: string, id: string): number {
  if (named === id) return NAMED.byDraft
  return named.startsWith(`${id}~`) ? NAMED.numbered : NAMED.byStore
}

function checkBinding(queue: Queue | undefined, { binding }: Enqueue): void {
  if (binding === undefined) return
  const { topic, from } = binding
  const bound = queue?.record.bindings.find((one) => one.topic === topic)
  if (bound?.epoch === from.epoch && bound.offset === from.offset) return
  const stands = bound === undefined ? 'there is none' : `it stands at ${bound.epoch}:${bound.offset}`
  throw new RepriseError('conflict', `the binding of ${topic} is not where this step begins: ${stands}`)
}

function checkLimit({ record }: Queue, limit: Enqueue['limit'], jobs: number, bytes: number): void {
  const { ready, delayed, held, bytes: kept } = record.main
  if (jobs > 0 && (ready + delayed + held + jobs > limit.jobs || kept + bytes > limit.bytes)) throw queueFull(limit)
}

/** A call that is refused makes no queue. */
function checkFirst(limit: Enqueue['limit'], drafts: readonly StoredJobDraft[]): void {
  const ids = new Set<string>()
  let [jobs, bytes] = [0, 0]
  for (const { id, body, dead } of drafts) {
    if (dead !== undefined || (id !== undefined && ids.has(id))) continue
    if (id !== undefined) ids.add(id)
    jobs++
    bytes += sizeBody(body).bytes
  }
  if (jobs > limit.jobs || bytes > limit.bytes) throw queueFull(limit)
}

/** Neighbours take theirs from one hash, the last one of which is kept. */
const IDS_A_HASH = 6
const ID_DIGITS = 20
const hashed = { secret: '', block: -1, text: '' }

/** Numbered drafts are found again by the number of their job alone, so their ids follow from it. */
function newId({ record }: Queue, n: number, { nonce, producer }: Enqueue): string {
  return producer === undefined ? `${n.toString(36)}-${nonce}` : secretId(record.secret, n)
}

function secretId(secret: string, n: number): string {
  const place = n % IDS_A_HASH
  const block = (n - place) / IDS_A_HASH
  if (hashed.secret !== secret || hashed.block !== block) {
    Object.assign(hashed, { secret, block, text: hash('sha512', `${secret} ${block}`, 'hex') })
  }
  return `${n.toString(36)}-${hashed.text.slice(place * ID_DIGITS, (place + 1) * ID_DIGITS)}`
}

function idOf(queue: Queue, found: number, draft: StoredJobDraft | undefined): string {
  const n = Math.floor(found / 4)
  const how = found % 4
  if (how === NAMED.byDraft) return draft?.id ?? ''
  if (how === NAMED.numbered) return `${draft?.id ?? ''}~${n}`
  return secretId(queue.record.secret, n)
}

function freeId(plan: Plan, { record, main, dead }: Queue, id: string, n: number, taken: Set<string>): string {
  const isTaken = (candidate: string): boolean =>
    taken.has(candidate) ||
    main.find(plan, candidate, numberIn(candidate, '-')) !== undefined ||
    dead.find(plan, candidate, numberIn(candidate, '-')) !== undefined ||
    isAnswered(plan, record.main.number, candidate)
  if (!isTaken(id)) return id
  return isTaken(`${id}~${n}`) ? secretId(record.secret, n) : `${id}~${n}`
}

function add(plan: Plan, queue: Queue, subject: string, { draft, n, id, sized }: Fresh): void {
  const { now } = plan
  const { record, main, dead } = queue
  const { key, priority, due, ttlMs, replyMs } = draft
  const half = draft.dead === undefined ? main : dead
  const dueAt = due === undefined ? now : Math.max(now, 'at' in due ? due.at : now + due.delayMs)
  const isDue = dueAt <= now || half.isDead
  const replyBy = replyMs === undefined ? undefined : now + replyMs
  record.main.sent++
  if (half.isDead) half.books.sent++
  half.books.lastJob = n
  if (isDue) half.books.lastPlace++
  const job = newJob({
    n,
    id,
    subject,
    key,
    priority,
    sentAt: now,
    cameAt: now,
    replyBy,
    ttlAt: half.isDead ? 0 : Math.min(dueAt + ttlMs, replyBy ?? Number.POSITIVE_INFINITY),
    bytes: sized.bytes,
    dueAt,
    place: isDue ? half.books.lastPlace : 0,
    dead: draft.dead === undefined ? undefined : { reason: draft.dead, at: now },
  })
  half.add(plan, job, sized)
}
