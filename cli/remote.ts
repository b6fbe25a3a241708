/** The way to a hub for the commands that talk to one: address and token, the SDK's connection, calls over HTTP. */

import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { ConnectOptions, Hub } from '../client/index.ts'
import { isErrorCode, messageOf, RepriseError } from '../shared/errors.ts'
import { isName, isQueueName, isTopicName, nameRule } from '../shared/names.ts'
import { type Place, readPlace } from '../shared/places.ts'
import { timeoutSignal } from '../shared/timer.ts'
import { DURATION_RULE, readDurationMs } from '../shared/units.ts'
import { UsageError } from './exit.ts'
import { note } from './output/output.ts'

export interface RemoteOptions {
  readonly url: string
  readonly token?: string
  readonly path?: string
  /** Milliseconds. */
  readonly timeout: number
  readonly json?: true
}

/** In a group of their own, below what is peculiar to the command. */
export function addRemoteOptions(command: Command): Command {
  return command
    .optionsGroup('Connection:')
    .addOption(
      new Option('-u, --url <url>', 'address of the hub')
        .env('REPRISE_URL')
        .default('http://127.0.0.1:3000')
        .argParser(hubUrl),
    )
    .addOption(
      new Option('--token <token>', 'your token; safer in the environment').env('REPRISE_TOKEN').argParser(sendable),
    )
    .option('--path <path>', 'path of Socket.IO, if the hub has another one than /socket.io')
    .addOption(
      new Option('--timeout <time>', 'how long to wait for the hub, such as 500ms, 30s or 5m')
        .default(30_000, '30s')
        .argParser(positiveDuration),
    )
    .optionsGroup('Options:')
    .option('--json', 'print one JSON object a line, errors as well')
}

function hubUrl(text: string): string {
  if (!/^(https?|wss?):\/\//i.test(text) || !URL.canParse(text)) {
    throw new InvalidArgumentError('It has to be the address of a hub, such as http://127.0.0.1:3000')
  }
  const { username, password } = new URL(text)
  if (username !== '' || password !== '') {
    throw new InvalidArgumentError('It has a user or a password in it: give --token or REPRISE_TOKEN instead')
  }
  return text.replace(/^ws/i, 'http').replace(/\/+$/, '')
}

/** What a header can carry: anything else would look like a hub that is not there. */
function sendable(token: string): string {
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new InvalidArgumentError('It has characters that no token has, such as a line break')
  return token
}

/** Milliseconds, for commander. */
export function duration(text: string): number {
  const ms = readDurationMs(text)
  if (ms === undefined) throw new InvalidArgumentError(`It has to be ${DURATION_RULE}`)
  return ms
}

/** The same where no time at all makes no sense. */
export function positiveDuration(text: string): number {
  const ms = duration(text)
  if (ms === 0) throw new InvalidArgumentError(`It has to be ${DURATION_RULE}, above 0`)
  return ms
}

/** Where in a topic, for commander. */
export function place(text: string): Place {
  const read = readPlace(text)
  if ('fault' in read) throw new InvalidArgumentError(`It ${read.fault}`)
  return read.place
}

/** A point in time, for commander. */
export function time(text: string): number {
  const read = readPlace(text)
  if ('place' in read && typeof read.place === 'object' && 'at' in read.place) return read.place.at
  throw new UsageError(`${text} is not a time such as 2026-11-21T08:30:00Z, or 2h for two hours ago`)
}

/** A whole number of at least `least`, for commander. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least) {
      throw new InvalidArgumentError(`It has to be a whole number of ${least} or more`)
    }
    return value
  }
}

/** Names are checked before anything is sent, with the sentence the hub would answer. */
export function checkedName(what: string): (text: string) => string {
  return (text) => {
    if (!isName(text)) throw new UsageError(nameRule(what, text))
    return text
  }
}

/** The same for a topic: also the one of a queue's life. */
export function checkedTopic(text: string): string {
  if (!isTopicName(text)) throw new UsageError(nameRule('the topic', text))
  return text
}

/** The same for a queue: also `<queue>/dead`, its dead letters. */
export function checkedQueue(text: string): string {
  if (!isQueueName(text)) throw new UsageError(nameRule('the queue', text))
  return text
}

/** Where a queue is under `/v1`. */
export function queueRoute(queue: string): string {
  return `/queues/${encodeURIComponent(queue)}`
}

/** Where a topic is under `/v1`. */
export function topicRoute(topic: string): string {
  return `/topics/${encodeURIComponent(topic)}`
}

/** An answer of the hub that cannot be read. */
export function strange(remote: RemoteOptions, what: string): RepriseError {
  return new RepriseError('unavailable', `${remote.url} answers ${what}: another version?`)
}

/** A connection of the SDK, after a look whether anything answers there: the SDK itself would go on trying. */
export async function connectTo(
  remote: RemoteOptions,
  client?: string,
  options: Pick<ConnectOptions, 'drainMs'> = {},
): Promise<Hub> {
  await reach(remote, '/healthz')
  await remarkOnToken(remote)
  const { connect } = await import('../client/index.ts')
  return connect(remote.url, {
    ...(remote.token === undefined ? {} : { token: remote.token }),
    ...(remote.path === undefined ? {} : { path: remote.path }),
    ...(client === undefined ? {} : { client }),
    readTimeoutMs: remote.timeout,
    // What fails is told by the command itself.
    quiet: true,
    ...options,
  })
}

type Query = Readonly<Record<string, string>>

/** `GET` of a `/v1` route. Throws what the hub answers, or `unavailable`. */
export function getJson(remote: RemoteOptions, route: string, query?: Query): Promise<Fields> {
  return call(remote, 'GET', route, query)
}

/** `POST` to a `/v1` route, likewise. */
export function postJson(remote: RemoteOptions, route: string, body: unknown): Promise<Fields> {
  return call(remote, 'POST', route, {}, body)
}

/** `PUT` to a `/v1` route, likewise. */
export function putJson(remote: RemoteOptions, route: string, body: unknown, query?: Query): Promise<Fields> {
  return call(remote, 'PUT', route, query, body)
}

/** `DELETE` of a `/v1` route, likewise. */
export async function deleteAt(remote: RemoteOptions, route: string, query?: Query): Promise<void> {
  await call(remote, 'DELETE', route, query)
}

async function call(remote: RemoteOptions, method: string, route: string, query: Query = {}, body?: unknown) {
  const search = new URLSearchParams(query).toString()
  await remarkOnToken(remote)
  const response = await reach(remote, `/v1${route}${search && `?${search}`}`, method, JSON.stringify(body))
  return response.status === 204 ? {} : answerOf(remote, response)
}

let remarked = false

/** Whoever shows a token believes that it is looked at. */
async function remarkOnToken(remote: RemoteOptions): Promise<void> {
  if (remote.token === undefined || remarked) return
  remarked = true
  const response = await reach(remote, '/v1/me')
  const me = jsonOf(response.text)
  if (isOk(response.status) && isRecord(me) && me.subject === 'anonymous') {
    note(`reprise: ${remote.url} asks for no token, and ignores yours: everybody may do everything there`)
  }
}

/** What came back, read to its end. */
interface Answer {
  readonly status: number
  readonly text: string
  /** Where a server that is no hub sends its callers. */
  readonly location: string | undefined
}

function answerOf(remote: RemoteOptions, { status, text, location }: Answer): Fields {
  const body = jsonOf(text)
  if (isOk(status) && isRecord(body)) return body
  if (isRecord(body) && isErrorCode(body.code)) {
    const message = [body.message, body.detail, body.title].find((one) => typeof one === 'string')
    const retryAfterMs = typeof body.retryAfterMs === 'number' ? { retryAfterMs: body.retryAfterMs } : {}
    throw new RepriseError(body.code, String(message ?? body.code), retryAfterMs)
  }
  const elsewhere = location === undefined ? '' : ` and points to ${location}`
  throw new RepriseError(
    'unavailable',
    `${remote.url} answers ${status}${elsewhere}, but not as a hub does: is the address right?`,
  )
}

const isOk = (status: number) => status >= 200 && status < 300

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

async function reach(remote: RemoteOptions, route: string, method = 'GET', body?: string): Promise<Answer> {
  const signal = timeoutSignal(remote.timeout)
  try {
    // Not `fetch`: loading it takes longer than all that most commands do.
    const { request } = remote.url.startsWith('https:') ? await import('node:https') : await import('node:http')
    const sent = request(remote.url + route, {
      method,
      signal,
      headers: {
        accept: 'application/json',
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        ...(remote.token === undefined ? {} : { authorization: `Bearer ${remote.token}` }),
      },
    }).end(body)
    const [response] = (await once(sent, 'response', { signal })) as [IncomingMessage]
    return { status: response.statusCode ?? 0, text: await text(response), location: response.headers.location }
  } catch (error) {
    const reason = signal.aborted ? `no answer in ${remote.timeout} ms` : reasonOf(error)
    throw new RepriseError(
      signal.aborted ? 'timeout' : 'unavailable',
      `no hub at ${remote.url} (${reason}): start one with "reprise serve", or give --url or REPRISE_URL`,
      { cause: error },
    )
  }
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  if (isRecord(cause) && typeof cause.code === 'string') return cause.code
  return messageOf(cause)
}

/** An object as it comes from elsewhere. */
export type Fields = Record<string, unknown>

export function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function records(list: unknown): Fields[] {
  return Array.isArray(list) ? list.filter(isRecord) : []
}
