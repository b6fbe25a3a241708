/** What the engine's keys and channels are called. */

export interface Keys {
  /** The record of a topic; its scripts find the topic's other keys beside it. */
  topic(topic: string): string
  /** A copy of a topic's log in the making. */
  rewriting(topic: string): string
  /** Owners of a topic's cursors in their order. */
  owners(topic: string): string
  cursors(topic: string): string
  channel(topic: string): string
  readonly store: string
  /** Names of born topics, and of some that are not yet. */
  readonly topics: string
  /** Topics with something that falls due, by that time. */
  readonly due: string
  readonly settings: string
  /** The figures of a queue; its scripts find its other keys beside it. */
  queue(queue: string): string
  /** The hashes of a queue that hold payloads: of its jobs, and what is kept of them by itself. */
  payloads(
    queue: string,
    hash:
      | 'jobs'
      | 'bodies'
      | 'history'
      | 'deaths'
      | 'progress'
      | 'finished'
      | 'answers'
      | 'schedules'
      | 'scheduleBodies'
      | 'children',
  ): string
  /** Of a queue or its dead letters: their consumers. */
  consumers(queue: string, dead: boolean): string
  queueChannel(queue: string): string
  /** Names of queues, and of some that were never made. */
  readonly queues: string
  /** Queues with timers, by when the next one is due. */
  readonly timers: string
  /** Queues with something to forget, by that time. */
  readonly queuesDue: string
  /** Queues with schedules, by when the next one is due or earlier; also the channel that tells of new ones. */
  readonly schedules: string
}

export function keysWith(prefix: string): Keys {
  const tag = (topic: string): string => `${prefix}{t:${topic}}`
  return {
    topic: (topic) => `${tag(topic)}:meta`,
    rewriting: (topic) => `${tag(topic)}:rewriting`,
    owners: (topic) => `${tag(topic)}:owners`,
    cursors: (topic) => `${tag(topic)}:cursors`,
    channel: tag,
    store: `${prefix}store`,
    topics: `${prefix}topics`,
    due: `${prefix}due`,
    settings: `${prefix}settings`,
    queue: (queue) => `${prefix}{q:${queue}}:meta`,
    payloads: (queue, hash) => `${prefix}{q:${queue}}:${hash}`,
    consumers: (queue, dead) => `${prefix}{q:${queue}}:${dead ? 'dead:' : ''}holders`,
    queueChannel: (queue) => `${prefix}{q:${queue}}`,
    queues: `${prefix}queues`,
    timers: `${prefix}turns`,
    queuesDue: `${prefix}queuesDue`,
    schedules: `${prefix}schedules`,
  }
}
