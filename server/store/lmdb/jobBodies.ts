/**
 * Bodies of a queue's jobs: neighbours of one commit are written as one block and read from it; a block goes with the
 * last of its jobs. Records carry their own checksum.
 */

import { encodeBody, readBody } from '../codec.ts'
import type { Body } from '../contract.ts'
import type { Environment } from './environment.ts'
import { chunkOfJob, type Job } from './jobs.ts'
import { blockKey } from './keys.ts'
import type { Plan } from './plan.ts'
import { TABLES } from './tables.ts'

const MAX_BLOCK_BYTES = 32_768

export class JobBodies {
  readonly #environment: Environment
  readonly #number: number
  /** Not written yet; in the order of their numbers. */
  readonly #pending = new Map<number, Buffer>()
  readonly #read = new Map<number, Buffer | undefined>()

  constructor(environment: Environment, queueNumber: number) {
    this.#environment = environment
    this.#number = queueNumber
  }

  add(n: number, raw: Buffer): void {
    this.#pending.set(n, raw)
  }

  forget(n: number): void {
    this.#pending.delete(n)
  }

  removeBlock(plan: Plan, block: number): void {
    if (block > 0) plan.remove(TABLES.jobBodies, blockKey(this.#number, block))
  }

  /** The record as it is kept, damaged or not. */
  raw(job: Job): Buffer {
    if (job.block === 0) return this.#pending.get(job.n) ?? Buffer.alloc(0)
    let block = this.#read.get(job.block)
    if (block === undefined) {
      block = this.#environment.get(TABLES.jobBodies, blockKey(this.#number, job.block))
      this.#read.set(job.block, block)
    }
    return block?.subarray(job.at, job.at + job.bytes) ?? Buffer.alloc(0)
  }

  /** `undefined` when it is damaged. */
  body(job: Job): Body | undefined {
    return readBody(this.raw(job))
  }

  /** Writes what is pending, and into the jobs where it is. */
  flush(plan: Plan, jobOf: (n: number) => Job | undefined): void {
    let parts: Buffer[] = []
    let first = 0
    let last = 0
    let size = 0
    const close = (): void => {
      if (parts.length > 0) plan.put(TABLES.jobBodies, blockKey(this.#number, first), Buffer.concat(parts))
      parts = []
      size = 0
    }
    for (const [n, raw] of this.#pending) {
      const job = jobOf(n)
      if (job === undefined) continue
      if (chunkOfJob(n) !== chunkOfJob(last) || size + raw.length > MAX_BLOCK_BYTES) close()
      if (parts.length === 0) first = n
      job.block = first
      job.at = size
      job.text = undefined
      parts.push(raw)
      size += raw.length
      last = n
    }
    close()
    this.#pending.clear()
    this.#read.clear()
  }
}

export function rawBody(body: Body): Buffer {
  return encodeBody(body)
}

/** As it is stored; for reading alone. */
export function storedBody(environment: Environment, queueNumber: number, job: Job): Body | undefined {
  const block = environment.get(TABLES.jobBodies, blockKey(queueNumber, job.block))
  return readBody(block?.subarray(job.at, job.at + job.bytes) ?? Buffer.alloc(0))
}
