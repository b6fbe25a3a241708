/**
 * Copies every event of a topic into the queues bound to it, once. Where a binding stands is kept with its queue and
 * moves in the step that stores the jobs, so several nodes may copy: all but one are told `conflict` and look again.
 */

import { hasCode, RepriseError } from '../../../shared/errors.ts'
import { type Position, samePosition } from '../../../shared/positions.ts'
import type { Gap } from '../../../shared/protocol.ts'
import type { Store, StoredJobDraft } from '../../store/contract/store.ts'
import { bodyBytes } from '../body.ts'
import { isPassing } from '../refusal.ts'
import { misfit } from '../schema/schema.ts'
import type { Telemetry } from '../telemetry.ts'
import type { Log } from '../topics/log.ts'
import { type Kept, Packet } from '../topics/packet.ts'
import type { Pages } from '../topics/pages.ts'
import { itsTurn, PAGE_WEIGHT } from '../turns.ts'
import { Allowance } from './allowance.ts'
import { type BindingSettings, type HubQueueSettings, takenOf } from './settings.ts'

/** The topic is looked at again after this time, as hints can be lost. */
const LOOK_MS = 2_000
/** After another node copied: it goes on, this one looks now and then whether it still does. */
const STAND_BACK_MS = 1_000
/** After a store that failed, or a queue that is full. */
const RETRY_MS = 1_000
/** A topic is told this often what it need not hold any more. */
const HOLD_MS = LOOK_MS / 2
/** Events copied in one step. */
const MAX_PART = 128
/** On its way into queues, of all bindings together: what a step, an event, or so many bytes weigh. */
const MAX_UNDER_WAY = 256
const STEP_WEIGHT = 8
const BYTES_AN_EVENT = 1_024
/** Queues looked at when bindings that nobody wants any more are searched. */
const PAGE = 50

export interface BindingsContext {
  readonly store: Store
  readonly log: Log
  readonly pages: Pages
  readonly settings: HubQueueSettings
  readonly telemetry: Telemetry
}

export class Bindings {
  readonly #context: BindingsContext
  readonly #copiers = new Map<string, Copier>()
  readonly #allowance = new Allowance(MAX_UNDER_WAY)
  #unlisten: (() => void) | undefined
  #working: Promise<void> = Promise.resolve()
  #isToLook = false
  #stopped = false

  constructor(context: BindingsContext) {
    this.#context = context
  }

  start(): void {
    this.#unlisten = this.#context.settings.onChange(() => this.#update())
    this.#update()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#unlisten?.()
    for (const copier of this.#copiers.values()) copier.stop()
    await this.#working
    await Promise.all([...this.#copiers.values()].map(({ done }) => done))
  }

  /** Starts and stops what the settings say; ends bindings that they no longer name. */
  #update(): void {
    const wanted = this.#wanted()
    for (const [name, copier] of this.#copiers) {
      if (wanted.has(name)) continue
      copier.stop()
      this.#copiers.delete(name)
    }
    for (const [name, { queue, binding }] of wanted) {
      if (this.#copiers.has(name)) continue
      this.#copiers.set(name, new Copier(this.#context, this.#allowance, queue, binding))
    }
    // One look for all the changes that come while another one is under way.
    if (this.#isToLook) return
    this.#isToLook = true
    this.#working = this.#working
      .then(() => {
        this.#isToLook = false
        return this.#endUnwanted()
      })
      .catch((error: unknown) => {
        if (!isPassing(error)) this.#context.telemetry.failed('ending bindings', error)
      })
  }

  #wanted(): Map<string, { readonly queue: string; readonly binding: BindingSettings }> {
    const wanted = new Map<string, { queue: string; binding: BindingSettings }>()
    for (const [queue, bindings] of this.#context.settings.bound()) {
      for (const binding of bindings) wanted.set(nameOf(queue, binding.topic), { queue, binding })
    }
    return wanted
  }

  async #endUnwanted(): Promise<void> {
    const { queues, topics } = this.#context.store
    const wanted = this.#wanted()
    let after: string | undefined
    while (!this.#stopped) {
      await itsTurn(PAGE_WEIGHT)
      const page = await queues.list({ after, limit: PAGE })
      for (const { queue, bindings } of page) {
        for (const { topic } of bindings) {
          if (wanted.has(nameOf(queue, topic))) continue
          await queues.bind(queue, topic, undefined)
          await topics.hold(topic, queue, undefined)
        }
      }
      if (page.length < PAGE) return
      after = page.at(-1)?.queue
    }
  }
}

/** One binding, as this node copies it. */
class Copier {
  readonly done: Promise<void>
  readonly #context: BindingsContext
  readonly #allowance: Allowance
  readonly #queue: string
  readonly #topic: string
  readonly #from: BindingSettings['from']
  /** Where the binding stands, unless another node has moved it. */
  #position: Position | undefined
  #part = MAX_PART
  /** Up to where the topic was told to let go, and when it is told again. */
  #held = -1
  #holdAt = 0
  #stopped = false
  #wake: () => void = () => {}
  #woken = false
  #toldOfFailure = false

  constructor(context: BindingsContext, allowance: Allowance, queue: string, { topic, from }: BindingSettings) {
    this.#context = context
    this.#allowance = allowance
    this.#queue = queue
    this.#topic = topic
    this.#from = from
    this.done = this.#run()
  }

  stop(): void {
    this.#stopped = true
    this.#ring()
  }

  async #run(): Promise<void> {
    let unwatch: (() => void) | undefined
    while (!this.#stopped) {
      try {
        // Watched before the first reading: what comes between the two is told.
        unwatch ??= await this.#context.store.topics.watch(this.#topic, () => this.#ring())
        await this.#copy()
        this.#toldOfFailure = false
        await this.#wait(LOOK_MS)
      } catch (error) {
        this.#position = undefined
        const pauseMs = this.#pauseAfter(error)
        // What is published meanwhile is no reason to be sooner.
        await this.#sleep(pauseMs)
      }
    }
    unwatch?.()
  }

  #pauseAfter(error: unknown): number {
    if (hasCode(error, 'conflict')) return STAND_BACK_MS * (1 + Math.random())
    if (!isPassing(error) && !this.#toldOfFailure) {
      this.#toldOfFailure = true
      this.#context.telemetry.failed(`copying ${this.#topic} into ${this.#queue}`, error)
    }
    return RETRY_MS
  }

  /** Copies until the queue has all that the topic has. */
  async #copy(): Promise<void> {
    this.#position ??= await this.#place()
    while (!this.#stopped) {
      const step = await this.#context.pages.step(this.#topic, this.#position, () => !this.#stopped)
      if (step.items.length === 0) {
        if (samePosition(step.head, this.#position)) return await this.#hold()
        await this.#move(this.#position, step.head)
        continue
      }
      for (const item of step.items) {
        if (item instanceof Packet) await this.#copyEvents(item)
        // Where a log begins anew and nothing is missed, there is nothing to tell.
        else if (item.count === 0) await this.#move(this.#position, item.position)
        else await this.#move(this.#position, item.position, 1, () => [this.#gapDraft(item)])
      }
      await this.#hold()
    }
  }

  /** Lets the topic go of what is copied; now and then, as it is a write of its own. */
  async #hold(): Promise<void> {
    const { offset } = this.#position ?? { offset: this.#held }
    if (offset === this.#held || performance.now() < this.#holdAt) return
    await this.#allowance.use(STEP_WEIGHT, () => this.#context.store.topics.hold(this.#topic, this.#queue, offset))
    this.#held = offset
    this.#holdAt = performance.now() + HOLD_MS
  }

  /** In smaller parts where the queue has not room for all. */
  async #copyEvents({ epoch, events }: Packet): Promise<void> {
    for (let at = 0; at < events.length && !this.#stopped; ) {
      const part = events.slice(at, at + this.#part)
      const offset = part.at(-1)?.offset ?? 0
      try {
        await this.#move(
          this.#position,
          { epoch, offset },
          part.reduce((weight, { body }) => weight + 1 + Math.floor(bodyBytes(body) / BYTES_AN_EVENT), 0),
          () => part.map((event) => this.#eventDraft(epoch, event)),
        )
      } catch (error) {
        if (!hasCode(error, 'too_many') || this.#part === 1) throw error
        this.#part = Math.ceil(this.#part / 4)
        continue
      }
      at += part.length
      this.#part = Math.min(MAX_PART, this.#part * 2)
    }
  }

  /** Where the binding stands; it is made where it is new, its hold first, so that nothing is trimmed in between. */
  async #place(): Promise<Position> {
    const { store, log } = this.#context
    const { epoch, head, first, lineage } = await log.bounds(this.#topic)
    const start =
      this.#from === 'end' ? { epoch, offset: head } : { epoch: lineage[0]?.epoch ?? epoch, offset: first - 1 }
    const known = (await store.queues.list({ names: [this.#queue] }))[0]?.bindings.find(
      ({ topic }) => topic === this.#topic,
    )
    if (known !== undefined) return known.position
    await store.topics.hold(this.#topic, this.#queue, start.offset)
    return (await store.queues.bind(this.#queue, this.#topic, start)) ?? start
  }

  /** The drafts are made when it is their turn. */
  async #move(
    from: Position | undefined,
    to: Position,
    weight = 0,
    drafts: () => readonly StoredJobDraft[] = () => [],
  ): Promise<void> {
    if (from === undefined) return
    const { store, settings, telemetry } = this.#context
    await this.#allowance.use(STEP_WEIGHT + weight, async () => {
      if (this.#stopped) throw new RepriseError('unavailable', 'the binding was ended meanwhile')
      const now = settings.forQueue(this.#queue)
      const jobs = drafts()
      await store.queues.enqueue(this.#queue, {
        subject: '',
        drafts: jobs,
        ...takenOf(now),
        binding: { topic: this.#topic, from, to },
      })
      telemetry.meter.sent(this.#queue, jobs.length)
    })
    this.#position = to
  }

  /** An event that the queue's schema does not let in stands among the dead letters: the binding goes on. */
  #eventDraft(epoch: string, event: Kept): StoredJobDraft {
    const { priority, ttlMs, schema } = this.#context.settings.forQueue(this.#queue)
    const fault = misfit(schema, event.body)
    const { json, key } = withoutId(event)
    const { binaries } = event.body
    return {
      body: binaries === undefined ? { json } : { json, binaries },
      id: `${this.#topic}:${epoch}:${event.offset}`,
      priority,
      ttlMs,
      ...(key === undefined ? {} : { key }),
      ...(fault === undefined ? {} : { dead: { reason: 'rejected', error: `does not fit the schema: ${fault}` } }),
    }
  }

  /** What could not be copied is not silent: it stands among the dead letters. */
  #gapDraft(gap: Gap): StoredJobDraft {
    const { priority, ttlMs } = this.#context.settings.forQueue(this.#queue)
    const json = JSON.stringify({ data: { topic: this.#topic, ...gap } })
    const id = `${this.#topic}:${gap.epoch}:gap:${gap.position.offset}`
    return { body: { json }, priority, ttlMs, id, dead: { reason: 'gap' } }
  }

  #ring(): void {
    this.#woken = true
    this.#wake()
  }

  async #wait(ms: number): Promise<void> {
    if (!this.#woken) await this.#sleep(ms, true)
    this.#woken = false
  }

  async #sleep(ms: number, lightly = false): Promise<void> {
    if (this.#stopped) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        if (!lightly && !this.#stopped) return
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

/** The event's own id stays with the topic: the job has one of its own. */
function withoutId({ body: { json } }: Kept): { readonly json: string; readonly key?: string } {
  // Looked for as text first: most events have neither.
  if (!json.includes('"id":') && !json.includes('"key":')) return { json }
  const { id, key, ...rest } = JSON.parse(json) as { readonly id?: string; readonly key?: string }
  const kept = key === undefined ? rest : { ...rest, key }
  return { json: id === undefined ? json : JSON.stringify(kept), ...(key === undefined ? {} : { key }) }
}

function nameOf(queue: string, topic: string): string {
  return `${queue}\n${topic}`
}
