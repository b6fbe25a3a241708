/**
 * Tells of dead letters and of leases that lapsed: for each queue and cause at once, then counted, in one line every few
 * seconds.
 */

import type { JobLoss, Owner } from '../../store/contract/store.ts'
import type { Reports, TelemetryEvent } from '../telemetry.ts'

const SPAN_MS = 5_000
/** Queues and causes that are counted apart. What is beyond is counted together. */
const MAX_CAUSES = 500
/** What stands behind it in the name of a client is new with each connection or claim. */
const UNIQUE = /#.*$/s

type Lost = Extract<TelemetryEvent, { kind: 'deadLetters' | 'leasesLapsed' }>

export class Losses {
  readonly #telemetry: Reports
  readonly #counted = new Map<string, { readonly lost: Lost; jobs: number }>()
  #timer: NodeJS.Timeout | undefined
  #lives: (queue: string) => void = () => {}
  #isTold: (queue: string, consumer: Owner) => boolean = () => false

  constructor(telemetry: Reports) {
    this.#telemetry = telemetry
  }

  /** Queues whose life is to be moved are told of here. */
  lives(told: (queue: string) => void): void {
    this.#lives = told
  }

  /** Leases of these consumers are told of by whoever delivers to them. */
  except(isTold: (queue: string, consumer: Owner) => boolean): void {
    this.#isTold = isTold
  }

  add(queue: string, loss: JobLoss): void {
    if (loss.kind === 'tripped') {
      this.#telemetry.happened({ kind: 'breakerTripped', queue, dead: loss.jobs, ended: loss.ended })
      return
    }
    if (loss.kind === 'life') {
      this.#lives(queue)
      return
    }
    if (loss.kind === 'lapsed' && this.#isTold(queue, loss.consumer)) return
    const named = lostOf(queue, loss)
    const isRoom = this.#counted.size < MAX_CAUSES || this.#counted.has(keyOf(named))
    const lost = isRoom ? named : withoutNames(named)
    const key = keyOf(lost)
    const known = this.#counted.get(key)
    if (known !== undefined) {
      known.jobs += loss.jobs
      return
    }
    this.#telemetry.happened(lost)
    this.#counted.set(key, { lost, jobs: 0 })
    this.#timer ??= setInterval(() => this.#tell(), SPAN_MS).unref()
  }

  /** What is counted is told, and what was quiet is forgotten. */
  #tell(): void {
    for (const [key, counted] of this.#counted) {
      if (counted.jobs === 0) this.#counted.delete(key)
      else this.#telemetry.happened({ ...counted.lost, jobs: counted.jobs })
      counted.jobs = 0
    }
    if (this.#counted.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  close(): void {
    this.#tell()
    clearInterval(this.#timer)
  }
}

function keyOf({ jobs: _, ...cause }: Lost): string {
  return JSON.stringify(cause)
}

/** No queue can have this name. */
function withoutNames(lost: Lost): Lost {
  const queue = '(others)'
  return lost.kind === 'deadLetters' ? { ...lost, queue } : { kind: lost.kind, queue, jobs: lost.jobs }
}

function lostOf(queue: string, loss: Exclude<JobLoss, { kind: 'tripped' | 'life' }>): Lost {
  const { jobs } = loss
  if (loss.kind === 'dead') return { kind: 'deadLetters', queue, jobs, reason: loss.reason }
  const client = loss.consumer.client.replace(UNIQUE, '')
  return { kind: 'leasesLapsed', queue, ...(client !== '' && { client }), jobs }
}
