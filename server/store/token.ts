/** Letters and digits that nobody can guess: what makes ids and leases, which engines give out, hard to guess. */

import { randomFillSync, randomInt } from 'node:crypto'

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789AB'
/** 72 bits. */
const LENGTH = 12

const pool = Buffer.alloc(LENGTH * 256)
let used = pool.length

/** The name of an epoch, which no other one has by chance. */
export function newEpoch(): string {
  return randomInt(2 ** 47)
    .toString(36)
    .padStart(8, '0')
    .slice(-8)
}

export function unguessable(): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  let text = ''
  for (const end = used + LENGTH; used < end; used++) text += LETTERS[(pool[used] ?? 0) & 63]
  return text
}
