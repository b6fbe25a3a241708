/**
 * A store whose payloads are encrypted: bodies and error texts are sealed on their way into any engine, and opened on
 * their way out. Names, ids, keys of jobs and times are left as they are, for the engines to find things by.
 */

import { SealedBody } from '../codec.ts'
import type {
  Answer,
  Body,
  Child,
  Claimed,
  Enqueue,
  Errand,
  FinishedJob,
  HeldJob,
  HistoryEntry,
  JobInfo,
  LifeRecord,
  Notification,
  Report,
  Settlement,
  Store,
  StoredEvent,
  StoredJobDraft,
  StoredSchedule,
  Told,
  Topics,
} from '../contract/store.ts'
import type { Keyring } from './keyring.ts'

/** Where payloads belong. A job moves between a queue and its dead letters, so both are one place. */
export const place = {
  topic: (topic: string) => `topic:${topic}`,
  job: (queue: string) => `job:${mainOf(queue)}`,
  reply: (queue: string) => `reply:${mainOf(queue)}`,
  error: (queue: string) => `error:${mainOf(queue)}`,
} as const

function isSealed(body: Body | undefined): boolean {
  return body instanceof SealedBody
}

function mainOf(queue: string): string {
  return queue.replace(/\/dead$/, '')
}

/** `close`: what is to end with it. */
export function sealedStore(store: Store, ring: Keyring, close: Store['close'] = store.close): Store {
  return {
    ...store,
    get durability() {
      return store.durability
    },
    topics: sealedTopics(store.topics, ring),
    queues: sealedQueues(store.queues, ring),
    close,
  }
}

function sealedTopics(topics: Topics, ring: Keyring): Topics {
  const opened = (events: readonly StoredEvent[], topic: string) => {
    if (!events.some((event) => 'body' in event && isSealed(event.body))) return events
    return events.map((event): StoredEvent => {
      if ('damaged' in event) return event
      const body = ring.open(event.body, place.topic(topic))
      return body === undefined ? { offset: event.offset, damaged: true } : { ...event, body }
    })
  }
  const told = (notification: Notification, topic: string): Notification => {
    if (notification.kind !== 'appended') return notification
    try {
      return { ...notification, events: opened(notification.events, topic) }
    } catch {
      // Whoever reads them is told that the key is missing.
      return { ...notification, events: [] }
    }
  }
  return {
    ...topics,
    append: (topic, append) => {
      if (ring.current === undefined) return topics.append(topic, append)
      const seal = (body: Body) => ring.seal(body, place.topic(topic))
      return topics.append(topic, {
        ...append,
        drafts: append.drafts.map((draft) => ({ ...draft, body: seal(draft.body) })),
      })
    },
    read: async (topic, after, bound) => {
      const page = await topics.read(topic, after, bound)
      return { ...page, events: opened(page.events, topic) }
    },
    watch: (topic, listener) => topics.watch(topic, (notification) => listener(told(notification, topic))),
  }
}

function sealedQueues(queues: Store['queues'], ring: Keyring): Store['queues'] {
  const bodyIn = <J extends HeldJob | JobInfo>(queue: string, job: J): J => ({
    ...job,
    body: job.body && ring.open(job.body, place.job(queue)),
  })
  const childIn = (queue: string, child: Child): Child => {
    const { result: sealed, ...told } = errorOpened(queue, child)
    const result = sealed && ring.open(sealed, place.reply(queue))
    return { ...told, ...(result && { result }) }
  }
  const childSealed = (queue: string, child: Child): Child => {
    const { result } = child
    return { ...errorSealed(queue, child), ...(result && { result: ring.seal(result, place.reply(queue)) }) }
  }
  /** A draft is opened with all its children, or not at all. */
  const draftIn = (queue: string, { children, ...draft }: StoredJobDraft): StoredJobDraft | undefined => {
    const body = ring.open(draft.body, place.job(queue))
    const drafts = children?.drafts.map((child) => draftIn(queue, child)) ?? []
    if (body === undefined || drafts.includes(undefined)) return undefined
    const whole = drafts.filter((child) => child !== undefined)
    return { ...draft, body, ...(children && { children: { ...children, drafts: whole } }) }
  }
  const errandIn = (queue: string, errand: Errand): Errand => {
    if (errand.errand === 'ended') return { ...errand, child: childIn(queue, errand.child) }
    return { ...errand, draft: errand.draft && draftIn(queue, errand.draft) }
  }
  const heldIn = (queue: string, job: HeldJob): HeldJob => ({
    ...bodyIn(queue, job),
    ...(job.children && { children: job.children.map((child) => childIn(queue, child)) }),
  })
  const claimedIn = (queue: string, claimed: Claimed): Claimed => {
    if (!claimed.jobs.some(({ body, children }) => isSealed(body) || children !== undefined)) return claimed
    return { ...claimed, jobs: claimed.jobs.map((job) => heldIn(queue, job)) }
  }
  const drafted = (queue: string, draft: StoredJobDraft): StoredJobDraft => ({
    ...draft,
    body: ring.seal(draft.body, place.job(queue)),
    ...(draft.dead && { dead: errorSealed(queue, draft.dead) }),
    ...(draft.children && {
      children: { ...draft.children, drafts: draft.children.drafts.map((child) => drafted(queue, child)) },
    }),
  })
  function errorSealed<T extends { readonly error?: string }>(queue: string, from: T): T {
    const { error } = from
    return error === undefined ? from : { ...from, error: ring.sealText(error, place.error(queue)) }
  }
  function errorOpened<T extends { readonly error?: string }>(queue: string, from: T): T {
    const { error } = from
    return error === undefined ? from : { ...from, error: ring.openText(error, place.error(queue)) }
  }
  const settlementIn = (queue: string, settlement: Settlement): Settlement => {
    if (settlement.as === 'retry' || settlement.as === 'dead') return errorSealed(queue, settlement)
    if (settlement.as !== 'done' || settlement.reply === undefined) return settlement
    return { ...settlement, reply: ring.seal(settlement.reply, place.reply(queue)) }
  }
  const entryIn = (queue: string, entry: HistoryEntry): HistoryEntry =>
    entry.why === undefined ? entry : { ...entry, why: ring.openText(entry.why, place.error(queue)) }
  const toldIn = (queue: string, sealed: Told['progress'], log: Told['log']): Told => {
    const progress = sealed && ring.open(sealed, place.reply(queue))
    const lines = log?.map(({ at, text }) => ({ at, text: ring.openText(text, place.error(queue)) }))
    return { ...(progress && { progress }), ...(lines && { log: lines }) }
  }
  const reportIn = (queue: string, { id, lease, value, log }: Report): Report => ({
    ...{ id, lease },
    ...(value && { value: ring.seal(value, place.reply(queue)) }),
    ...(log && { log: log.map((text) => ring.sealText(text, place.error(queue))) }),
  })
  const infoIn = (queue: string, { progress, log, ...job }: JobInfo): JobInfo => ({
    ...bodyIn(queue, job),
    ...toldIn(queue, progress, log),
    ...(job.dead && { dead: errorOpened(queue, job.dead) }),
    history: job.history.map((entry) => entryIn(queue, entry)),
  })
  const finishedIn = (queue: string, job: FinishedJob): FinishedJob => {
    const { result: sealed, progress, log, ...rest } = errorOpened(queue, job)
    const result = sealed && ring.open(sealed, place.reply(queue))
    const told = toldIn(queue, progress, log)
    return { ...rest, ...told, ...(result && { result }), history: job.history.map((entry) => entryIn(queue, entry)) }
  }
  const answerIn = (queue: string, answer: Answer): Answer => {
    if (answer.state === 'failed') return errorOpened(queue, answer)
    if (answer.state !== 'done' || answer.reply === undefined) return answer
    const reply = ring.open(answer.reply, place.reply(queue))
    return { state: 'done', ...(reply && { reply }) }
  }
  const adding = (queue: string, enqueue: Enqueue): Enqueue => {
    if (ring.current === undefined) return enqueue
    return { ...enqueue, drafts: enqueue.drafts.map((draft) => drafted(queue, draft)) }
  }
  const lifeIn = (queue: string, record: LifeRecord): LifeRecord => {
    const { body, ...told } = errorOpened(queue, record)
    const opened = body && ring.open(body, place.reply(queue))
    return opened === undefined ? told : { ...told, body: opened }
  }
  const scheduleIn = (queue: string, schedule: StoredSchedule): StoredSchedule => ({
    ...schedule,
    body: schedule.body && ring.open(schedule.body, place.job(queue)),
  })
  return {
    ...queues,
    enqueue: (queue, enqueue) => queues.enqueue(queue, adding(queue, enqueue)),
    putSchedule: (queue, name, given) => {
      if (ring.current === undefined) return queues.putSchedule(queue, name, given)
      return queues.putSchedule(queue, name, { ...given, body: ring.seal(given.body, place.job(queue)) })
    },
    fireSchedule: (queue, name, fire) =>
      queues.fireSchedule(queue, name, { ...fire, enqueue: adding(queue, fire.enqueue) }),
    life: async (queue, step) => {
      const life = await queues.life(queue, step)
      if (life?.errands === undefined) {
        return life && { ...life, records: life.records.map((record) => lifeIn(queue, record)) }
      }
      const list = life.errands.list.map((errand) => errandIn(queue, errand))
      return { ...life, errands: { ...life.errands, list } }
    },
    tellParents: (queue, ended) => {
      if (ring.current === undefined) return queues.tellParents(queue, ended)
      return queues.tellParents(
        queue,
        ended.map(({ parent, child }) => ({ parent, child: childSealed(queue, child) })),
      )
    },
    schedules: async (queue, query) => (await queues.schedules(queue, query)).map((one) => scheduleIn(queue, one)),
    dueSchedules: async (limit, without) => {
      const found = await queues.dueSchedules(limit, without)
      return {
        ...found,
        due: found.due.map(({ queue, schedule }) => ({ queue, schedule: scheduleIn(queue, schedule) })),
      }
    },
    claim: async (queue, claim) => claimedIn(queue, await queues.claim(queue, claim)),
    settle: async (queue, settlements, policy, by, next) => {
      const sealed = ring.current === undefined ? settlements : settlements.map((one) => settlementIn(queue, one))
      const outcome = await queues.settle(queue, sealed, policy, by, next)
      const { claimed } = outcome
      if (claimed === undefined || !('jobs' in claimed)) return outcome
      return { ...outcome, claimed: claimedIn(queue, claimed) }
    },
    progress: (queue, reports, policy) =>
      queues.progress(queue, ring.current === undefined ? reports : reports.map((one) => reportIn(queue, one)), policy),
    finished: async (queue, query) => (await queues.finished(queue, query)).map((job) => finishedIn(queue, job)),
    jobs: async (queue, query) => (await queues.jobs(queue, query)).map((job) => infoIn(queue, job)),
    answer: async (queue, id) => {
      const answer = await queues.answer(queue, id)
      return answer && answerIn(queue, answer)
    },
  }
}
