/** Many clients of one topic in a process of their own: cut off, back again, each event checked and timed. */

import { chosenProduct, serveCalls } from '../role.ts'
import { sharedNowMs } from '../scenes/load.ts'
import { type Member, type Opener, openHubMember, openLoggedMember } from '../scenes/members.ts'
import { percentile } from '../series.ts'

interface Waiting {
  readonly offset: number
  left: number
  reached(): void
}

const AT_ONCE = 50

const members: Member[] = []
/** The last offset of each. */
const heads: number[] = []
const faults: string[] = []
let ways: number[] = []
let waiting: Waiting | undefined
let reachedAt: Float64Array = new Float64Array(0)
let stopJitter: () => number = () => 0

const calls = {
  /** Resolves when all are live. */
  async attach({ url, to, topic, count }: { url: string; to: 'hub' | 'logged'; topic: string; count: number }) {
    const open: Opener = to === 'hub' ? await openHubMember(chosenProduct(), url, topic) : openLoggedMember(url)
    const first = members.length
    for (let from = 0; from < count; from += AT_ONCE) {
      const group = Array.from({ length: Math.min(AT_ONCE, count - from) }, async (_, i) => {
        const at = first + from + i
        heads[at] = 0
        members[at] = await open(at, (offset, sentAt) => take(at, offset, sentAt))
      })
      await Promise.all(group)
    }
  },

  /** Resolves when every member has got the event with this offset. */
  reached({ offset }: { offset: number }): Promise<void> {
    return allAt(offset)
  },

  cut(): void {
    for (const member of members) member.leave()
  },

  /** All come back at once. The times from then until a member has got the event with this offset, in ms. */
  async comeBack({ offset }: { offset: number }) {
    reachedAt = new Float64Array(members.length)
    const ended = allAt(offset)
    const started = performance.now()
    for (const member of members) member.back()
    await ended
    const took = [...reachedAt].map((at) => at - started)
    return { p50: percentile(took, 50), p95: percentile(took, 95), last: Math.max(...took) }
  },

  /** Each member is cut off every `everyMs` or so, for `awayMs`. */
  jitter({ everyMs, awayMs }: { everyMs: number; awayMs: number }): void {
    let cuts = 0
    const timers = members.map((member) => {
      const slot: { timer?: NodeJS.Timeout } = {}
      const live = (share: number) => {
        slot.timer = setTimeout(() => {
          cuts += 1
          member.leave()
          slot.timer = setTimeout(() => {
            member.back()
            live(0.5 + Math.random())
          }, awayMs)
        }, everyMs * share)
      }
      // The first one is anywhere in the first period, so that they are spread from the beginning.
      live(Math.random())
      return slot
    })
    stopJitter = () => {
      for (const { timer } of timers) clearTimeout(timer)
      for (const member of members) member.back()
      return cuts
    }
  },

  /** Ends it: all come back. Answers how often somebody was cut off. */
  calm(): number {
    return stopJitter()
  },

  cpu: () => process.cpuUsage(),

  /** How long events were on their way since the last call, in ms. Rejects when one was missing, twice or out of order. */
  ways() {
    const taken = ways
    ways = []
    if (faults.length > 0) throw new Error(`${faults.length} events were missing or twice; ${faults[0]}`)
    return { count: taken.length, p50: percentile(taken, 50), p99: percentile(taken, 99) }
  },
}

function take(member: number, offset: number, sentAt: number): void {
  const head = heads[member] ?? 0
  if (head > 0 && offset !== head + 1) faults.push(`member ${member}: ${head} was followed by ${offset}`)
  heads[member] = offset
  ways.push(sharedNowMs() - sentAt)
  if (waiting === undefined || offset !== waiting.offset) return
  reachedAt[member] = performance.now()
  waiting.left -= 1
  if (waiting.left === 0) waiting.reached()
}

function allAt(offset: number): Promise<void> {
  const left = heads.filter((head) => head < offset).length
  if (left === 0) return Promise.resolve()
  return new Promise((reached) => {
    waiting = { offset, left, reached }
  })
}

export type HerdCalls = typeof calls

serveCalls(calls)
