/** What a topic, queue, client or producer may be called. One rule, checked at both ends. */

export const NAME = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/

/** The longest name, in characters. */
export const MAX_NAME_LENGTH = 128

/** `true` for 1 to 128 of `A–Z a–z 0–9 . _ : -`, the first a letter or a digit. */
export function isName(value: unknown): value is string {
  return typeof value === 'string' && NAME.test(value)
}

/** `true` for a name, and for one that ends in `/dead`: the dead letters of a queue. */
export function isQueueName(value: unknown): value is string {
  return isName(typeof value === 'string' && value.endsWith('/dead') ? value.slice(0, -5) : value)
}

/** In front of the name of a queue: the topic of its life. Nobody publishes there but the hub. */
const LIFE_PREFIX = '$queue.'

/** The topic with what happens to the jobs of a queue. */
export function lifeTopic(queue: string): string {
  return LIFE_PREFIX + queue
}

/** The queue whose life the topic has; `undefined` for any other topic. */
export function queueOfLife(topic: string): string | undefined {
  return topic.startsWith(LIFE_PREFIX) ? topic.slice(LIFE_PREFIX.length) : undefined
}

/** `true` for a name, and for the topic of a queue's life. */
export function isTopicName(value: unknown): value is string {
  return typeof value === 'string' && isName(queueOfLife(value) ?? value)
}

/** The sentence that tells a caller what a name has to look like. */
export function nameRule(what: string, value: unknown): string {
  const shown = typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : typeof value
  return `${what} ${shown} is not a name: 1 to ${MAX_NAME_LENGTH} of A-Z a-z 0-9 . _ : - and the first a letter or digit`
}

/** Where the topics live: `/topics/<topic>`. */
export const TOPIC_PREFIX = '/topics/'

/** A number behind the name of a namespace: another place of the connection in it. */
const PLACE = /^(\/topics\/.*|\/queues)#([2-9]|[1-9]\d{1,2})$/s

/** The namespace, without the number of a place. */
export function withoutPlace(namespace: string): string {
  return PLACE.exec(namespace)?.[1] ?? namespace
}
