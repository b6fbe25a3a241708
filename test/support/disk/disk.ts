/** A disk as a power loss leaves it: what was synced is there, of the rest any part may be. */

import type { Random } from '../seed.ts'
import type { Step } from './trace.ts'

interface Write {
  readonly offset: number
  readonly bytes: Buffer
}

export class Disk {
  #kept = Buffer.alloc(0)
  #pending: Write[] = []
  readonly #syncing = new Map<number, Write[]>()

  apply(step: Step): void {
    if (step.kind === 'write') {
      if (step.onDisk) this.#kept = put(this.#kept, step)
      else this.#pending.push(step)
    } else if (step.kind === 'syncing') {
      this.#syncing.set(step.sync, this.#pending)
      this.#pending = []
    } else if (step.kind === 'synced') {
      for (const write of this.#syncing.get(step.sync) ?? []) this.#kept = put(this.#kept, write)
      this.#syncing.delete(step.sync)
    }
  }

  /** The file after a power loss in this moment; without `random` nothing is there that was not synced. */
  image(random?: Random): Buffer {
    let image = Buffer.from(this.#kept)
    if (random === undefined) return image
    for (const write of [...[...this.#syncing.values()].flat(), ...this.#pending]) {
      // Pages go to the disk one by one.
      for (let start = 0; start < write.bytes.length; start += 4_096) {
        if (random.chance(0.5)) continue
        const bytes = write.bytes.subarray(start, start + 4_096)
        image = put(image, { offset: write.offset + start, bytes })
      }
    }
    return image
  }
}

function put(file: Buffer<ArrayBuffer>, { offset, bytes }: Write): Buffer<ArrayBuffer> {
  const end = offset + bytes.length
  const target = end <= file.length ? file : Buffer.concat([file, Buffer.alloc(end - file.length)])
  target.set(bytes, offset)
  return target
}
