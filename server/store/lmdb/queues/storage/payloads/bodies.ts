/**
 * Bodies of a queue's jobs: neighbours of one commit are written as one block and read from it; a block goes with the
 * last of its jobs. Records carry their own checksum.
 */

import { encodeBody, type RecordBody, readBody, writeRecord } from '../../../../codec.ts'
import type { Body } from '../../../../contract/store.ts'
import type { Changes } from '../../../engine/changes.ts'
import type { Environment } from '../../../engine/environment.ts'
import { blockKey } from '../../../engine/keys.ts'
import { TABLES } from '../../../engine/tables.ts'
import { chunkOfJob, type Job } from '../jobs.ts'

const MAX_BLOCK_BYTES = 32_768

export class JobBodies {
  readonly #environment: Environment
  readonly #number: number
  /** Not written yet; in the order of their numbers. */
  readonly #pending = new Map<number, RecordBody>()
  readonly #read = new Map<number, Buffer | undefined>()

  constructor(environment: Environment, queueNumber: number) {
    this.#environment = environment
    this.#number = queueNumber
  }

  add(n: number, body: RecordBody): void {
    this.#pending.set(n, body)
  }

  forget(n: number): void {
    this.#pending.delete(n)
  }

  removeBlock(changes: Changes, block: number): void {
    if (block > 0) changes.remove(TABLES.jobBodies, blockKey(this.#number, block))
  }

  #block(job: Job): Buffer {
    let block = this.#read.get(job.block)
    if (block === undefined) {
      block = this.#environment.get(TABLES.jobBodies, blockKey(this.#number, job.block)) ?? EMPTY
      this.#read.set(job.block, block)
    }
    return block
  }

  /** The record as it is kept, damaged or not. */
  raw(job: Job): Buffer {
    const pending = job.block === 0 ? this.#pending.get(job.n) : undefined
    if (pending !== undefined) return 'raw' in pending ? pending.raw : encodeBody(pending.body)
    return this.#block(job).subarray(job.at, job.at + job.bytes)
  }

  /** `undefined` when it is damaged. */
  body(job: Job): Body | undefined {
    const pending = job.block === 0 ? this.#pending.get(job.n) : undefined
    if (pending !== undefined) return 'raw' in pending ? readBody(pending.raw) : pending.body
    return readIn(this.#block(job), job)
  }

  /** Writes what is pending, and into the jobs where it is. */
  flush(changes: Changes, jobOf: (n: number) => Job | undefined): void {
    let jobs: Job[] = []
    let size = 0
    const close = (): void => {
      const [first] = jobs
      if (first === undefined) return
      const block = Buffer.allocUnsafe(size)
      for (const job of jobs) {
        const body = this.#pending.get(job.n)
        if (body === undefined) continue
        writeRecord(block, job.at, body)
        job.block = first.n
      }
      changes.put(TABLES.jobBodies, blockKey(this.#number, first.n), block)
      jobs = []
      size = 0
    }
    for (const [n, { bytes }] of this.#pending) {
      const job = jobOf(n)
      if (job === undefined) continue
      const last = jobs.at(-1)
      if (last !== undefined && (chunkOfJob(n) !== chunkOfJob(last.n) || size + bytes > MAX_BLOCK_BYTES)) close()
      job.at = size
      jobs.push(job)
      size += bytes
    }
    close()
    this.#pending.clear()
    this.#read.clear()
  }
}

const EMPTY = Buffer.alloc(0)

function readIn(block: Buffer, { at, bytes }: Job): Body | undefined {
  return readBody(block, at, Math.min(at + bytes, block.length))
}

/** As it is stored; for reading alone. */
export function storedBody(environment: Environment, queueNumber: number, job: Job): Body | undefined {
  return readIn(environment.get(TABLES.jobBodies, blockKey(queueNumber, job.block)) ?? EMPTY, job)
}
