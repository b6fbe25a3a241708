/** What is kept of a queue as a whole, of its consumers and of its answers. Jobs are in jobs.ts. */

import type { Outcomes } from '../../../breaker.ts'
import type { ChildState, DeadReason, FinishedState, HistoryEntry } from '../../../contract/store.ts'

/** The state of a queue, or of its dead letters, which are a queue of their own. */
export interface Counters {
  /** Stands for it in keys; topics and queues draw from one row of numbers. */
  readonly number: number
  lastJob: number
  lastPlace: number
  sent: number
  done: number
  removed: number
  ready: number
  delayed: number
  held: number
  /** For their children; absent in what earlier versions wrote. */
  waiting?: number
  /** Bytes of the bodies of all these. */
  bytes: number
  /** Ready jobs of each priority that can be delivered, suspects apart. */
  open: number[]
  suspects: number
  /** Deliveries so far; the number of each is part of its lease. */
  handOuts: number
  lastSession: number
  paused: boolean
  /** The time up to which deliveries have used up the rate. */
  rateAt: number
  /** Deliveries go in turns over groups. */
  grouped?: boolean
  /** Jobs that stand in groups, and those of them whose groups rest. */
  inGroups?: number
  resting?: number
  /** The last turn that a group was given. */
  lastTurn?: number
  /** When it is told again of its life that waits; 0 where none does. */
  lifeAt?: number
  /** When something falls due by itself; 0 where nothing does. */
  turnAt: number
  /** When the memory of settled leases is swept next; 0 where there is none. */
  sweepAt: number
  /** What is kept of finished jobs, and when the first of them is forgotten; of the queue itself. */
  finished?: { [State in FinishedState]?: { jobs: number; bytes: number } }
  forgetAt?: number | undefined
}

export interface QueueBinding {
  readonly topic: string
  readonly epoch: string
  readonly offset: number
}

export interface QueueRecord {
  readonly main: Counters
  readonly dead: Counters
  /** Part of the ids that the store gives to numbered drafts, which it has to find again. */
  readonly secret: string
  /** How long dead letters are kept, as the hub said last. */
  deadMs: number
  bindings: readonly QueueBinding[]
  /** Its life that waits to be moved: numbers from `first` to before `next`, counted from `base` in their row, of so many bytes. */
  life?: LifeState
  /** How jobs ended of late, where the queue has a breaker, and that it has paused the queue. */
  outcomes?: Outcomes
  tripped?: { readonly at: number; readonly dead: number; readonly ended: number }
  /** How many schedules it has; absent before the first one. */
  schedules?: number
}

interface LifeState {
  isOn: boolean
  generation: string
  /** Its first generation. */
  row?: string
  base?: number
  first: number
  next: number
  bytes?: number
}

export interface ScheduleRecord {
  readonly queue: string
  readonly name: string
  readonly version: string
  readonly spec: string
  readonly nextAt?: number
}

/** What is known of a group of jobs: while any of them can be delivered, and as long as its rate has to be known. */
export interface GroupRecord {
  /** Jobs that can be delivered. */
  count: number
  /** 0 while it has none: it rests, or has no jobs. */
  turn: number
  /** It rests until then. */
  until: number
  /** The time up to which its deliveries have used up its rate. */
  rateAt: number
  /** Deliveries while it is known. */
  taken: number
}

export interface ConsumerRecord {
  readonly subject: string
  readonly client: string
  session: number
  touchedAt: number
  attached: boolean
  /** The number of its last delivery. */
  handOut: number
  /** Suspects among what it holds. */
  suspects: number
  dueAt: number
}

/** What is known of a request by its id, and which id a subject's request got; until `replyBy`. */
export type AnswerRecord = { readonly replyBy: number } & (
  | { readonly state: 'done'; readonly reply?: string }
  | { readonly state: 'failed'; readonly reason: DeadReason | 'removed'; readonly error?: string }
  | { readonly state: 'asked'; readonly id: string }
)

/** What a job is to its children, and what it is to its parent. */
export interface Family {
  /** `as`: the number that it had when it came, which stands for it in keys. */
  readonly children?: {
    readonly as: number
    readonly count: number
    readonly open: number
    readonly bytes: number
    readonly most: number
    readonly onDead: 'fail' | 'skip'
  }
  /** `at`: its place among the children. */
  readonly parent?: FamilyPlace
}

/** `queue`: that of the parent, where it is another one. */
export interface FamilyPlace {
  readonly queue?: string
  readonly id: string
  readonly as: number
  readonly at: number
}

/** Of a parent the ids of its children, then of each what became of it. */
export type ChildRecord =
  /** `queues`: those of other queues, by their places; their ids are empty here. */
  | { readonly ids: readonly string[]; readonly queues?: Readonly<Record<number, string>> }
  /** `result`: a body's record in base64. `id`: of one of another queue. */
  | { readonly state: ChildState; readonly id?: string; readonly result?: string; readonly error?: string }

/** How far children from another queue have come. */
export interface CarriedRecord {
  readonly row: string
  readonly number: number
}

/** What is kept of a finished job that only some have. */
export interface Told {
  /** A body's record in base64. */
  readonly result?: string
  readonly error?: string
  readonly history?: readonly HistoryEntry[]
  /** As it is packed, in base64. */
  readonly progress?: string
}

export function newCounters(number: number): Counters {
  const counts = { sent: 0, done: 0, removed: 0, ready: 0, delayed: 0, held: 0, bytes: 0, suspects: 0 }
  const rows = { lastJob: 0, lastPlace: 0, handOuts: 0, lastSession: 0 }
  return { number, ...rows, ...counts, open: Array(10).fill(0), paused: false, rateAt: 0, turnAt: 0, sweepAt: 0 }
}

export function jobsIn({ ready, delayed, held, waiting = 0 }: Counters): number {
  return ready + delayed + held + waiting
}
