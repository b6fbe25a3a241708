/** What the script of a queue is asked where consumers tell how far they are. */

import { encodeBody } from '../../codec.ts'
import type { Progress, QueuePolicy, Report } from '../../contract/store.ts'
import type { Operation } from '../scripting/batcher.ts'
import { textAt } from '../scripting/codec.ts'
import { leaseParts, type Part, policyWords, refuse } from '../scripting/queueCodec.ts'

/** `undefined` where the lease cannot be one. */
function packedReport({ id, lease, value, log = [] }: Report): Buffer | undefined {
  const parts = leaseParts(id, lease)
  if (parts === undefined) return undefined
  const { n, serial, token, idPart } = parts
  const number = Buffer.alloc(8)
  number.writeDoubleLE(serial)
  const texts = [
    Buffer.from(idPart),
    value === undefined ? NOTHING : encodeBody(value),
    log.length === 0 ? NOTHING : Buffer.from(JSON.stringify(log)),
  ]
  return Buffer.concat([number, short(n), short(token), ...texts.map(long)])
}

const NOTHING = Buffer.alloc(0)

function short(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([Buffer.of(bytes.length), bytes])
}

function long(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(bytes.length)
  return Buffer.concat([length, bytes])
}

export function progress(
  queue: string,
  part: Part,
  reports: readonly Report[],
  policy: QueuePolicy,
): Operation<readonly Progress[]> {
  const asked = reports.map(packedReport)
  const given = asked.filter((each) => each !== undefined)
  const packed = Buffer.concat(given)
  const args = ['progress', part, ...policyWords(policy), String(given.length), packed]
  const read = (outcome: readonly Buffer[]): readonly Progress[] => {
    refuse(queue, outcome)
    const letters = textAt(outcome, 1)
    let at = 0
    return asked.map((each) => (each !== undefined && letters[at++] === 'o' ? 'ok' : 'lost'))
  }
  return { args, bytes: packed.length, size: given.length, read }
}
