/** Checks of what a program hands in: the hub's address, options whose names are known, times that can be. */

import { RepriseError } from '../shared/errors.ts'
import { suggestion } from '../shared/nearest.ts'

/** Ours, each with the names that other libraries have for it; of several the first one that the call knows is told. */
const FOREIGN: Readonly<Record<string, string>> = {
  leaseMs: 'ackWait lease lockDuration lockRenewTime stalledInterval visibilityTimeout',
  token: 'apiKey auth authCallback getToken',
  ack: 'autoAck noAck',
  retry: 'backoff',
  reconnect:
    'backoff disconnectedRetryTimeout maxReconnectDelay minReconnectDelay reconnection reconnectionDelay reconnectionDelayMax',
  socketOptions: 'ca extraHeaders query rejectUnauthorized withCredentials',
  client: 'clientId durable group groupId name',
  limit: 'batchSize count max',
  after: 'cursor lastEventId offset since start',
  from: 'cursor fromBeginning lastEventId offset recover rewind since start startFrom',
  before: 'end until',
  id: 'deduplication deduplicationId idempotencyKey jobId messageId msgID msgId',
  key: 'partition partitionKey',
  group: 'MessageGroupId groupId messageGroupId tenant',
  headers: 'extras meta tags',
  timeZone: 'timezone tz zone',
  everyMs: 'every interval intervalMs',
  cron: 'pattern repeat',
  startAt: 'start startDate',
  endAt: 'end endDate until',
  missed: 'catchUp misfire',
  delayMs: 'delay',
  at: 'runAt timestamp',
  ttlMs: 'expiration ttl',
  maxAttempts: 'attempts maxRetries retries',
  attempts: 'maxAttempts maxRetries retries',
  keepDone: 'removeOnComplete',
  concurrency: 'credit prefetch prefetchCount',
  timeoutMs: 'ackTimeout timeout',
  readTimeoutMs: 'ackTimeout timeout',
  drainMs: 'timeout',
}

const ADDRESS = /^(https?|wss?):\/\//i

/** The address as Socket.IO takes it. Throws `bad_request` for what is none. */
export function addressOf(url: unknown): string | undefined {
  const page = (globalThis as { readonly location?: { readonly href: string } }).location?.href
  // Of any other page, as about:blank or a worker made of a Blob, Socket.IO would make an address of somebody else.
  if (url === undefined && page !== undefined && ADDRESS.test(page)) return undefined
  const text = url instanceof URL ? url.href : url
  const inPage = page !== undefined && typeof text === 'string' && text.startsWith('/')
  if (typeof text === 'string' && (inPage || ADDRESS.test(text)) && URL.canParse(text, page)) {
    // Socket.IO takes a path alone, or `HTTP://`, for something else.
    const { href } = new URL(text, page)
    if (ADDRESS.test(href)) return href
  }
  const shown = typeof text === 'string' ? JSON.stringify(text.slice(0, 80)) : String(text)
  throw bad(`connect takes the address of a hub, such as 'http://127.0.0.1:3000', not ${shown}`)
}

/** Throws `bad_request` for options that are none, and for one that the call does not know. */
export function checkNames(call: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw bad(`${call}: options are an object of ${known.join(', ')}`)
  }
  for (const name in options)
    if (!known.includes(name)) throw bad(`${call}: there is no option ${name}${meant(name, known)}`)
}

function meant(name: string, known: readonly string[]): string {
  if (/^(repeat|cron|every)$/.test(name) && known.includes('delayMs')) {
    return '; what repeats is a schedule: queue.schedule(name, { cron, draft })'
  }
  const ours = Object.keys(FOREIGN).find((one) => known.includes(one) && FOREIGN[one]?.split(' ').includes(name))
  return ours === undefined ? suggestion(name, known) : `; here it is ${ours}`
}

/** A time in milliseconds, `Infinity` too. Throws `bad_request` for what is none. */
export function durationOf(name: string, value: unknown, byDefault: number): number {
  if (value === undefined) return byDefault
  if (typeof value === 'number' && value >= 0) return value
  throw bad(
    `${name} has to be a number of milliseconds from 0, not ${typeof value === 'string' ? JSON.stringify(value) : String(value)}`,
  )
}

/** Throws `bad_request` for a value that is given and does not fit. */
export function check(name: string, value: unknown, fits: boolean, rule: string): void {
  if (value !== undefined && !fits) throw bad(`${name} has to be ${rule}`)
}

/** How long a `close` waits. */
export function drainMsOf(options: unknown, byDefault: number): number {
  checkNames('close', options, ['drainMs'])
  return durationOf('drainMs', (options as { readonly drainMs?: unknown }).drainMs, byDefault)
}

/** A whole number from 1, `Infinity` too. Throws `bad_request` for what is none. */
export function countOf(name: string, value: unknown, byDefault: number): number {
  if (value === undefined) return byDefault
  if ((Number.isSafeInteger(value) || value === Infinity) && (value as number) >= 1) return value as number
  throw bad(`${name} has to be a whole number from 1`)
}

/** Waits between tries, checked. */
export function jitterOf(
  name: string,
  jitter: unknown,
  baseMs: number,
  maxMs: number,
): { baseMs: number; maxMs: number } {
  if (jitter === undefined) return { baseMs, maxMs }
  checkNames(name, jitter, ['baseMs', 'maxMs'])
  const given = jitter as { readonly baseMs?: unknown; readonly maxMs?: unknown }
  return {
    baseMs: durationOf(`${name}.baseMs`, given.baseMs, baseMs),
    maxMs: durationOf(`${name}.maxMs`, given.maxMs, maxMs),
  }
}

/** One of these words. Throws `bad_request` for another. */
export function checkWord(name: string, value: unknown, words: readonly string[]): void {
  if (value === undefined || words.includes(value as string)) return
  throw bad(
    `${name} is ${words.map((word) => `'${word}'`).join(' or ')}${suggestion(String(value).slice(0, 80), words)}`,
  )
}

function bad(text: string): RepriseError {
  return new RepriseError('bad_request', text)
}
