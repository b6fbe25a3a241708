/** What the model of queues keeps of a queue or of its dead letters, and what can be told of that. Changes nothing else. */

import { sizeBody } from '../../../server/store/codec.ts'
import type {
  Body,
  Child,
  HistoryEntry,
  JobInfo,
  JobPolicy,
  JobState,
  Owner,
  QueueInfo,
  Settlement,
  Told,
} from '../../../server/store/contract/store.ts'

export const MINUTE = 60_000
/** A holder that was not touched for longer is not attached any more. */
export const TOUCH_MS = MINUTE

export interface ModelLease {
  readonly token: string
  readonly holder: Owner
  /** A number of its own, rising. */
  readonly handOut: number
  readonly capAt: number
  expiresAt: number
  alone: boolean
  capped: boolean
}

export interface ModelJob {
  readonly id: string
  /** In the order of sending. */
  readonly n: number
  readonly subject: string
  readonly key: string | undefined
  readonly group: string | undefined
  readonly priority: number
  readonly sentAt: number
  readonly cameAt: number
  readonly ttlMs: number
  readonly policy: JobPolicy | undefined
  readonly replyBy: number | undefined
  readonly body: Body
  readonly dead: JobInfo['dead']
  dueAt: number
  state: JobState
  /** 0 before it is due for the first time. */
  place: number
  /** Its first place: the one in the line of its key. */
  line: number
  attempts: number
  deliveries: number
  suspect: boolean
  history: readonly HistoryEntry[]
  /** When the run began that is under way; of a dead letter, the one that made it one. */
  startedAt?: number | undefined
  /** What it waits for, and what has become of that. */
  readonly children?: ModelChildren | undefined
  readonly parent?: ModelPlace | undefined
  /** Until then somebody waits for its end. */
  awaitBy?: number
  /** While it counts. */
  lease: ModelLease | undefined
  told?: Told
}

/** Of a child: its parent, which of the children it is, and the queue of its parent where that is another one. */
export interface ModelPlace {
  readonly id: string
  readonly at: number
  readonly among: ModelChildren
  readonly queue?: string
}

export interface ModelChildren {
  /** Empty for one of another queue. */
  readonly ids: string[]
  readonly queues: Map<number, string>
  readonly ended: Map<number, Child>
  readonly most: number
  readonly onDead: 'fail' | 'skip'
  bytes: number
}

export function childrenOf({ children }: ModelJob): Child[] | undefined {
  return children?.ids.map((id, at) => {
    const queue = children.queues.get(at)
    return { ...(queue !== undefined && { queue }), ...(children.ended.get(at) ?? { id, state: 'open' }) }
  })
}

export interface ModelGroup {
  /** 0: it has none. */
  turn: number
  until: number
  rateAt: number
  taken: number
}

export interface Half {
  readonly isDead: boolean
  readonly jobs: Map<string, ModelJob>
  readonly holders: Map<string, { session: number; touchedAt: number; attached: boolean }>
  readonly settled: Map<string, { readonly as: Settlement['as']; readonly at: number }>
  places: number
  handOuts: number
  sent: number
  done: number
  removed: number
  paused: boolean
  rateAt: number
  /** Deliveries go in turns over groups. */
  grouped: boolean
  readonly groups: Map<string, ModelGroup>
  /** The jobs that can be delivered, suspects apart. */
  readonly stands: Map<ModelJob, { readonly place: number; inGroup: boolean }>
  lastTurn: number
  /** The turn of all that come at this moment. */
  tie: number | undefined
}

export function groupName({ group, key }: ModelJob): string {
  return group ?? key ?? ''
}

export function newHalf(isDead: boolean): Half {
  const counts = { places: 0, handOuts: 0, sent: 0, done: 0, removed: 0, rateAt: 0 }
  const turns = { grouped: false, groups: new Map(), stands: new Map(), lastTurn: 0, tie: undefined }
  return { isDead, jobs: new Map(), holders: new Map(), settled: new Map(), paused: false, ...counts, ...turns }
}

export function ownerName({ subject, client }: Owner): string {
  return `${subject}/${client}`
}

/** The jobs of a key that have a place, in their line. */
export function lineOf(half: Half, key: string): ModelJob[] {
  if (half.isDead) return []
  return [...half.jobs.values()].filter((job) => job.key === key && job.place > 0).sort((a, b) => a.line - b.line)
}

/** The first job of this one's line, where that is another one. */
function behind(half: Half, job: ModelJob): ModelJob | undefined {
  if (half.isDead || job.key === undefined || job.place === 0) return undefined
  const [first] = lineOf(half, job.key)
  return first === job ? undefined : first
}

/** What could be handed out. */
export function openOf(half: Half): ModelJob[] {
  return [...half.jobs.values()].filter((job) => job.state === 'ready' && behind(half, job) === undefined)
}

/** In the order of their hand-outs. */
export function heldBy(half: Half, owner: Owner): ModelJob[] {
  const name = ownerName(owner)
  return [...half.jobs.values()]
    .filter(({ state, lease }) => state === 'held' && lease !== undefined && ownerName(lease.holder) === name)
    .sort((a, b) => (a.lease?.handOut ?? 0) - (b.lease?.handOut ?? 0))
}

/** The job is in its holder's hands from now on: no lease of that holder which still counts is one alone any more. */
export function isolate(half: Half, job: ModelJob): void {
  const { lease } = job
  if (lease === undefined) return
  const name = ownerName(lease.holder)
  for (const other of half.jobs.values()) {
    if (other === job || other.lease === undefined || ownerName(other.lease.holder) !== name) continue
    other.lease.alone = false
    if (other.state === 'held') lease.alone = false
  }
}

export function extend({ lease }: ModelJob, now: number, leaseMs: number): void {
  if (lease === undefined) return
  lease.capped = now + leaseMs >= lease.capAt
  lease.expiresAt = lease.capped ? lease.capAt : now + leaseMs
}

export function bytesOf(half: Half): number {
  let bytes = 0
  for (const { body } of half.jobs.values()) bytes += sizeBody(body).bytes
  return bytes
}

/** When the next group with jobs has rested enough. */
function restsUntil(half: Half): number {
  const named = new Set([...half.stands].flatMap(([job, { inGroup }]) => (inGroup ? [groupName(job)] : [])))
  const times = [...half.groups].flatMap(([name, { until }]) => (until > 0 && named.has(name) ? [until] : []))
  return Math.min(...times)
}

/** When something may be claimed that cannot be now, the rate aside. */
export function nextDueAt(half: Half): number {
  let next = restsUntil(half)
  for (const { state, dueAt, lease } of half.jobs.values()) {
    if (state === 'delayed') next = Math.min(next, dueAt)
    if (state === 'held') next = Math.min(next, lease?.expiresAt ?? next)
  }
  return next
}

/** When it expires if it still waits. */
export function ttlAtOf({ dueAt, ttlMs, replyBy }: ModelJob): number {
  return Math.min(dueAt + ttlMs, replyBy ?? Number.POSITIVE_INFINITY)
}

/** When something is to be turned. */
export function turnAt(half: Half, deadMs: number): number {
  let next = nextDueAt(half)
  for (const job of half.jobs.values()) {
    if (job.state !== 'held' && job.place > 0) next = Math.min(next, half.isDead ? job.cameAt + deadMs : ttlAtOf(job))
  }
  return next
}

/** From when on there is something to claim, leases that lapse aside. */
export function workAt(half: Half, now: number): number {
  const isResting = (job: ModelJob): boolean =>
    half.stands.get(job)?.inGroup === true && (half.groups.get(groupName(job))?.until ?? 0) > 0
  if (openOf(half).some((job) => !isResting(job))) return now
  const due = [...half.jobs.values()].filter(({ state }) => state === 'delayed').map(({ dueAt }) => dueAt)
  return Math.max(now, Math.min(...due, restsUntil(half)))
}

export function jobsIn(half: Half, state: JobState): ModelJob[] {
  const last = Number.MAX_SAFE_INTEGER
  return [...half.jobs.values()]
    .filter((job) => job.state === state)
    .sort((a, b) => {
      const due = state === 'waiting' ? 0 : a.dueAt - b.dueAt
      return (a.place || last) - (b.place || last) || due || a.n - b.n
    })
}

export function infoOfJob(half: Half, job: ModelJob): JobInfo {
  const { id, state, subject, key, group, priority, attempts, deliveries, sentAt, dueAt, suspect, history, body } = job
  const { replyBy, dead, lease, policy, children, parent } = job
  const first = behind(half, job)
  return {
    ...{ id, state, subject, priority, attempts, deliveries, sentAt, dueAt, suspect, history, body },
    ...(key !== undefined && { key }),
    ...(group !== undefined && { group }),
    ...(policy !== undefined && { policy }),
    ...((half.isDead || state === 'held') && job.startedAt !== undefined && { startedAt: job.startedAt }),
    ...(dead === undefined && { ttlAt: ttlAtOf(job) }),
    ...(replyBy !== undefined && { replyBy }),
    ...(state === 'held' && lease !== undefined && { holder: lease.holder, expiresAt: lease.expiresAt }),
    ...(first !== undefined && { behind: first.id }),
    ...(children && { children: { count: children.ids.length, open: children.ids.length - children.ended.size } }),
    ...(parent && { parent: parent.id, ...(parent.queue !== undefined && { parentQueue: parent.queue }) }),
    ...(dead !== undefined && { dead }),
    ...job.told,
  }
}

/** All but the name and the bindings; `dead`: how many dead letters there are. */
export function infoOfHalf(half: Half, dead: number, now: number): Omit<QueueInfo, 'queue' | 'bindings'> {
  const { sent, done, removed, paused } = half
  const count = (state: JobState): number => [...half.jobs.values()].filter((job) => job.state === state).length
  const waiting = { ready: count('ready'), delayed: count('delayed'), held: count('held'), waiting: count('waiting') }
  const counts = { sent, ...waiting, done, dead, removed }
  const [oldest] = jobsIn(half, 'ready')
  const there = [...half.holders.values()].filter(({ attached, touchedAt }) => attached && now - touchedAt <= TOUCH_MS)
  const bytes = bytesOf(half)
  return { counts, bytes, ...(oldest && { oldestReadyAt: oldest.dueAt }), consumers: there.length, paused }
}

/** Hand-outs a second, evenly, with a burst of a tenth of a second, 1 at least. */
export class Rate {
  readonly #used: { rateAt: number }
  readonly #now: number
  readonly #eachMs: number
  readonly #burstMs: number

  constructor(used: { rateAt: number }, perSecond: number | undefined, now: number) {
    this.#used = used
    this.#now = now
    this.#eachMs = perSecond === undefined ? 0 : 1_000 / perSecond
    this.#burstMs = this.#eachMs * Math.max(1, (perSecond ?? 0) / 10)
    if (perSecond !== undefined) used.rateAt = Math.min(used.rateAt, this.latest)
  }

  get latest(): number {
    return this.#now + this.#burstMs
  }

  /** The time up to which hand-outs have used up the rate. */
  get #usedTo(): number {
    return Math.max(this.#used.rateAt, this.#now)
  }

  get left(): number {
    if (this.#eachMs === 0) return Number.POSITIVE_INFINITY
    return Math.floor((this.#now + this.#burstMs - this.#usedTo) / this.#eachMs + 1e-3)
  }

  get nextAt(): number {
    return Math.ceil(this.#usedTo + this.#eachMs * (this.left + 1 - 1e-3) - this.#burstMs)
  }

  take(): void {
    if (this.#eachMs > 0) this.#used.rateAt = this.#usedTo + this.#eachMs
  }
}
