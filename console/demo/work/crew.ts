/** The workers of the scene, each with a connection of its own. One that crashes is cut off in the middle of its job. */

import { type HeldJob, type Hub, retry, type Worker } from '../../../client/index.ts'
import type { Visit } from '../visit.ts'
import type { Job, Jobs } from './jobs.ts'

export const LEASE_MS = 3_000
export const WORK_MS = 700
/** A job that fails does so early. */
const FAIL_MS = 200
const RETRY_MS = 200
const ERROR = 'no such address'
const LINES = 30
const LABELS = ['A', 'B', 'C']

export interface Line {
  readonly key: number
  readonly job: number
  readonly text: string
  readonly look: 'live' | 'replayed' | 'gap'
}

interface Running {
  readonly id: string
  readonly data: Job
  readonly attempts: number
  readonly since: number
}

/** What the workers know together. */
export class Crew {
  readonly workers: readonly CrewMember[]
  readonly #jobs: Jobs
  /** How often each job was done. */
  readonly #done = new Map<string, number>()
  /** Jobs that somebody held who crashed. */
  readonly #orphans = new Map<string, string>()

  constructor(visit: Visit, jobs: Jobs, changed: () => void) {
    this.#jobs = jobs
    this.workers = LABELS.map((label) => new CrewMember(label, { visit, jobs, changed, crew: this }))
  }

  /** Jobs that were done more than once. */
  get twice(): number {
    return [...this.#done.values()].filter((times) => times > 1).length
  }

  /** Jobs of crashed workers that nobody else has yet. */
  get orphaned(): number {
    return this.#orphans.size
  }

  /** The one that works at present, else the first one that is there. */
  crashOne(): void {
    const there = this.workers.filter(({ isCrashed }) => !isCrashed)
    ;(there.find(({ running }) => running !== undefined) ?? there[0])?.crash()
  }

  orphan(id: string, label: string): void {
    this.#orphans.set(id, label)
  }

  /** Whose job it was. */
  taken(id: string): string | undefined {
    const label = this.#orphans.get(id)
    if (label !== undefined) this.#jobs.returned()
    this.#orphans.delete(id)
    for (const worker of this.workers) worker.gaveUp(id)
    return label
  }

  did(id: string): void {
    this.#done.set(id, (this.#done.get(id) ?? 0) + 1)
  }

  /** The hub did not take the result, as somebody else has the job: it does not count. */
  didNot(id: string): void {
    this.#done.set(id, (this.#done.get(id) ?? 1) - 1)
  }

  close(): void {
    for (const worker of this.workers) worker.close()
  }
}

interface MemberContext {
  readonly visit: Visit
  readonly jobs: Jobs
  readonly changed: () => void
  readonly crew: Crew
}

export class CrewMember {
  readonly label: string
  readonly #context: MemberContext
  #hub: Hub | undefined
  #worker: Worker | undefined
  /** Raised by every crash: what an earlier process still does is void. */
  #life = 0
  #running: Running | undefined
  readonly #done = new Set<string>()
  #lines: readonly Line[] = []
  #key = 0

  constructor(label: string, context: MemberContext) {
    this.label = label
    this.#context = context
    this.start()
  }

  get isCrashed(): boolean {
    return this.#hub === undefined
  }

  /** Its connection, in a word. */
  get state(): string {
    if (this.#worker === undefined) return 'crashed'
    const { state } = this.#worker.status
    return state === 'offline' ? 'hub out of reach' : state
  }

  get running(): Running | undefined {
    return this.#running
  }

  get done(): number {
    return this.#done.size
  }

  /** The newest first. */
  get lines(): readonly Line[] {
    return this.#lines
  }

  start(): void {
    if (this.#hub !== undefined) return
    const { visit, jobs, changed } = this.#context
    this.#hub = visit.connect()
    this.#running = undefined
    const life = this.#life
    this.#worker = this.#hub
      .queue(jobs.queue)
      .consume((job) => this.#work(job as HeldJob<Job>, life), { leaseMs: LEASE_MS })
    this.#worker.onStatus(changed)
    this.#worker.onError(({ job, then }) => {
      if (then === 'lost') this.#lost(job as HeldJob<Job>)
    })
    changed()
  }

  /** As a process that is killed: the transport is gone, without a word, and whatever it was doing. */
  crash(): void {
    if (this.#hub === undefined) return
    if (this.#running !== undefined) {
      const { id, data } = this.#running
      this.#context.crew.orphan(id, this.label)
      this.#note(data.job, 'crashed while it had this', 'gap')
    }
    this.#end()
  }

  /** Somebody else has the job. */
  gaveUp(id: string): void {
    if (this.isCrashed && this.#running?.id === id) this.#running = undefined
  }

  close(): void {
    this.#end()
  }

  #end(): void {
    this.#life++
    this.#hub?.suspend()
    void this.#hub?.close({ drainMs: 0 })
    this.#hub = undefined
    this.#worker = undefined
    this.#context.changed()
  }

  async #work({ id, data, attempts, signal }: HeldJob<Job>, life: number): Promise<unknown> {
    const { crew, jobs, changed } = this.#context
    const orphanOf = crew.taken(id)
    this.#running = { id, data, attempts, since: performance.now() }
    if (orphanOf !== undefined) this.#note(data.job, `came back from ${orphanOf}`, 'replayed')
    changed()
    const fails = data.poison === true && !jobs.isFixed
    await new Promise((resolve) => setTimeout(resolve, fails ? FAIL_MS : WORK_MS))
    // Nobody hears what a crashed process says.
    if (life !== this.#life) return undefined
    this.#running = undefined
    if (signal.aborted) return undefined
    if (fails) {
      this.#note(data.job, `failed, attempt ${attempts + 1}`, 'gap')
      return retry(RETRY_MS, ERROR)
    }
    this.#done.add(id)
    crew.did(id)
    this.#note(data.job, 'done', 'live')
    return undefined
  }

  /** Its lease ran out, as that of a tab that sleeps may. */
  #lost({ id, data }: HeldJob<Job>): void {
    if (this.#done.delete(id)) this.#context.crew.didNot(id)
    this.#note(data.job, 'lost its lease', 'gap')
  }

  #note(job: number, text: string, look: Line['look']): void {
    this.#lines = [{ key: this.#key++, job, text, look }, ...this.#lines.slice(0, LINES - 1)]
    this.#context.changed()
  }
}
