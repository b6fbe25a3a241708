/**
 * Puts what is stored under another key, or under none, under the present one: in bounded parts beside all other work,
 * by one node at a time. Where it is stands in the store, so that whoever comes next goes on from there. When it has seen
 * everything, the other keys are not needed any more.
 */

import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Body, PayloadChange, PayloadPlace, Settings, Store } from '../contract/store.ts'
import { type Keyring, keyOfBody } from './keyring.ts'
import { knownKeys, type Pass, PLAIN, passIn, payloadsIn, placesIn, putKey, putPass, targetIn } from './keys.ts'
import { place } from './sealedStore.ts'

/** Between two looks whether there is something to do, or somebody else does it. */
const LOOK_MS = 10_000
/** After a pass; while nodes with another key go on, there would always be something. */
const AGAIN_MS = 600_000
const SAVE_MS = 1_000
/** Has a pass that was left in order. */
const NOBODY = ''
/** Of nodes that begin at once the last one to say so has the pass, which all of them know after this. */
const CLAIM_MS = 100
/** A part is followed by a rest as long as it was. */
const LONGEST_REST_MS = 100

export interface RotationContext {
  /** The engine itself: payloads are looked at as they are kept. */
  readonly store: Store
  readonly ring: Keyring
  readonly told: (what: 'began' | 'ended', pass: Pass) => void
  readonly failed: (cause: unknown) => void
  /** Default 10 s. */
  readonly lookMs?: number
}

/** Starts it; the result stops it and resolves when it is not at work. */
export function startRotation(context: RotationContext): () => Promise<void> {
  const stop = new AbortController()
  const running = run(context, stop.signal).catch(context.failed)
  return async () => {
    stop.abort()
    await running
  }
}

async function run(context: RotationContext, stopped: AbortSignal): Promise<void> {
  const { store, ring, failed, lookMs = LOOK_MS } = context
  const { settings } = store
  const by = randomUUID()
  const current = ring.current ?? PLAIN
  // Another node's pass may have ended while this one still writes so.
  const claim = async () => {
    const own = (await knownKeys(settings)).get(current)
    if (own?.used !== true) await putKey(settings, current, { check: own?.check ?? '', used: true })
  }
  const unwatch = settings.watch(() => void claim().catch(() => {}))
  let notBefore = 0
  while (!stopped.aborted) {
    try {
      await claim()
      if (performance.now() >= notBefore && (await hasOthers(settings, current))) {
        if (await pass(context, by, stopped)) notBefore = performance.now() + AGAIN_MS
      }
    } catch (error) {
      if (!stopped.aborted) failed(error)
    }
    await delay(lookMs, undefined, { signal: stopped, ref: false }).catch(() => {})
  }
  unwatch()
}

/** Whether payloads may be under another key than the one that all is to be under. */
async function hasOthers(settings: Settings, current: string): Promise<boolean> {
  if ((await targetIn(settings)) !== current) return false
  const known = await knownKeys(settings)
  return !known.has(PLAIN) || [...known].some(([name, { used }]) => name !== current && used)
}

/** Resolves with whether it has seen everything. */
async function pass({ store, ring, told }: RotationContext, by: string, stopped: AbortSignal): Promise<boolean> {
  const { settings } = store
  const to = ring.current ?? PLAIN
  const before = await passIn(settings)
  const isUnderWay = before?.done === false
  if (isUnderWay && ![by, NOBODY].includes(before.by) && (await isAlive(settings, before, stopped))) return false
  const now = await store.ready()
  const goesOn = isUnderWay && before.to === to
  // Keys that come into use from here on are not this pass's to set free.
  const known = await knownKeys(settings)
  const fresh = { to, by, beganAt: now, at: now, done: false, seen: 0, changed: 0 }
  let state: Pass = goesOn ? { ...before, by, at: now } : { ...fresh, total: await payloadsIn(store) }
  if ((await passIn(settings))?.by !== before?.by) return false
  await putPass(settings, state)
  await delay(CLAIM_MS, undefined, { ref: false })
  if ((await passIn(settings))?.by !== by) return false
  if (state.total > 0) told('began', state)
  let savedAt = performance.now()
  const save = async (leaving = false): Promise<boolean> => {
    savedAt = performance.now()
    if ((await passIn(settings))?.by !== by) return false
    state = { ...state, at: await store.ready() }
    await putPass(settings, leaving ? { ...state, by: NOBODY } : state)
    return true
  }
  const change = new Changing(ring)
  let left = false
  for await (const where of placesFrom(store, state)) {
    change.in = where
    let from: string | undefined = isSame(where, state.in) ? (state.from ?? '') : ''
    while (from !== undefined) {
      if (stopped.aborted) {
        await save(true)
        return false
      }
      const began = performance.now()
      const { next, seen, changed } = await store.rewrite(where, from, change)
      state = { ...state, in: where, from: next ?? '', seen: state.seen + seen, changed: state.changed + changed }
      from = next
      if (change.missing.size > 0) {
        // A text that names a key which nobody ever had is no encrypted one.
        const keys = await knownKeys(settings)
        left ||= [...change.missing].some((name) => keys.has(name))
        change.missing.clear()
      }
      if (performance.now() - savedAt >= SAVE_MS && !(await save())) return false
      await delay(Math.min(LONGEST_REST_MS, performance.now() - began), undefined, { ref: false })
    }
    const { in: _, from: __, ...rest } = state
    state = { ...rest, behind: where }
  }
  if (!(await save())) return false
  if (!left) {
    for (const [name, record] of known) {
      if (name !== to && record.used) await putKey(settings, name, { ...record, used: false })
    }
    if (to !== PLAIN && !known.has(PLAIN)) await putKey(settings, PLAIN, { check: '', used: false })
  }
  const { behind: _, ...rest } = state
  state = { ...rest, done: true, at: await store.ready() }
  await putPass(settings, state)
  if (state.total > 0) told('ended', state)
  return true
}

/** Whether whoever has the pass is still at work: it says so every second. */
async function isAlive(settings: Settings, { by, at }: Pass, stopped: AbortSignal): Promise<boolean> {
  await delay(3 * SAVE_MS, undefined, { signal: stopped, ref: false })
  const now = await passIn(settings)
  return now !== undefined && !now.done && (now.by !== by || now.at !== at)
}

async function* placesFrom(store: Store, { behind, in: inside }: Pass): AsyncGenerator<PayloadPlace> {
  if (inside !== undefined) yield inside
  for await (const [where] of placesIn(store, inside ?? behind)) yield where
}

function isSame(a: PayloadPlace, b: PayloadPlace | undefined): boolean {
  return b !== undefined && JSON.stringify(a) === JSON.stringify(b)
}

/** From any key that is known to the present one. */
class Changing implements PayloadChange {
  in: PayloadPlace = { topic: '' }
  /** Keys that are not here, of payloads that were left as they are. */
  readonly missing = new Set<string>()
  readonly #ring: Keyring

  constructor(ring: Keyring) {
    this.#ring = ring
  }

  body(body: Body, kind: 'event' | 'job' | 'reply'): Body | undefined {
    const key = keyOfBody(body)
    if (!this.#isOther(key)) return undefined
    const where =
      'topic' in this.in ? place.topic(this.in.topic) : place[kind === 'reply' ? 'reply' : 'job'](this.in.queue)
    const opened = this.#ring.open(body, where)
    // Damaged ones stay: nobody can read them under any key.
    return opened && this.#ring.seal(opened, where)
  }

  text(text: string): string | undefined {
    if (text === '' || !('queue' in this.in)) return undefined
    const where = place.error(this.in.queue)
    if (!this.#isOther(this.#ring.keyOfText(text, where))) return undefined
    return this.#ring.sealText(this.#ring.openText(text, where), where)
  }

  #isOther(key: string | undefined): boolean {
    if (key === this.#ring.current) return false
    if (key === undefined || this.#ring.has(key)) return true
    this.missing.add(key)
    return false
  }
}
