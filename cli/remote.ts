/** The way to a hub for the commands that talk to one: address and token, the SDK's connection, calls over HTTP. */

import { type Command, InvalidArgumentError, Option } from 'commander'
import type { ConnectOptions, Hub } from '../client/index.ts'
import { readDurationMs } from '../server/units.ts'
import { isErrorCode, RepriseError } from '../shared/errors.ts'
import { isName, isQueueName, nameRule } from '../shared/names.ts'
import { UsageError } from './exit.ts'

export interface RemoteOptions {
  readonly url: string
  readonly token?: string
  readonly path?: string
  /** Milliseconds. */
  readonly timeout: number
  readonly json?: true
}

export function addRemoteOptions(command: Command): Command {
  return command
    .addOption(
      new Option('-u, --url <url>', 'the hub').env('REPRISE_URL').default('http://127.0.0.1:3000').argParser(hubUrl),
    )
    .addOption(new Option('--token <token>', 'who is calling; better in the environment').env('REPRISE_TOKEN'))
    .option('--path <path>', 'path of Socket.IO, where the hub has another one')
    .addOption(
      new Option('--timeout <time>', 'how long to wait for the hub').default(30_000, '30s').argParser(duration),
    )
    .option('--json', 'one JSON object a line; errors too')
}

function hubUrl(text: string): string {
  if (!/^(https?|wss?):\/\//i.test(text) || !URL.canParse(text)) {
    throw new InvalidArgumentError('It is the address of a hub, such as http://127.0.0.1:3000')
  }
  if (new URL(text).username !== '') {
    throw new InvalidArgumentError('It holds a name or password, which is for --token or REPRISE_TOKEN')
  }
  return text.replace(/^ws/i, 'http').replace(/\/+$/, '')
}

/** Milliseconds, for commander. */
export function duration(text: string): number {
  const ms = readDurationMs(text)
  if (ms === undefined || ms === 0) throw new InvalidArgumentError('It is a duration such as 10s or 500ms')
  return ms
}

/** A whole number of at least `least`, for commander. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least) {
      throw new InvalidArgumentError(`It is a whole number of ${least} or more`)
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

/** The same for a queue: also `<queue>/dead`, its dead letters. */
export function checkedQueue(text: string): string {
  if (!isQueueName(text)) throw new UsageError(nameRule('the queue', text))
  return text
}

/** Where a queue is under `/v1`. */
export function queueRoute(queue: string): string {
  return `/queues/${encodeURIComponent(queue)}`
}

/** A connection of the SDK, after a look whether anything answers there: the SDK itself would go on trying. */
export async function connectTo(
  remote: RemoteOptions,
  client?: string,
  options: Pick<ConnectOptions, 'drainMs'> = {},
): Promise<Hub> {
  await reach(remote, '/healthz')
  const { connect } = await import('../client/index.ts')
  return connect(remote.url, {
    ...(remote.token === undefined ? {} : { token: remote.token }),
    ...(remote.path === undefined ? {} : { path: remote.path }),
    ...(client === undefined ? {} : { client }),
    readTimeoutMs: remote.timeout,
    ...options,
  })
}

/** `GET` of a `/v1` route. Throws what the hub answers, or `unavailable`. */
export async function getJson(
  remote: RemoteOptions,
  route: string,
  query: Record<string, string> = {},
): Promise<unknown> {
  const search = new URLSearchParams(query).toString()
  return await answerOf(remote, await reach(remote, `/v1${route}${search === '' ? '' : `?${search}`}`))
}

/** `POST` to a `/v1` route, likewise. */
export async function postJson(remote: RemoteOptions, route: string, body: unknown): Promise<unknown> {
  return await answerOf(remote, await reach(remote, `/v1${route}`, JSON.stringify(body)))
}

async function answerOf(remote: RemoteOptions, response: Response): Promise<unknown> {
  const body: unknown = await response.json().catch(() => undefined)
  if (response.ok && body !== undefined) return body
  if (isRecord(body) && isErrorCode(body.code)) {
    const message = [body.message, body.detail, body.title].find((text) => typeof text === 'string')
    const retryAfterMs = typeof body.retryAfterMs === 'number' ? { retryAfterMs: body.retryAfterMs } : {}
    throw new RepriseError(body.code, String(message ?? body.code), retryAfterMs)
  }
  throw new RepriseError('unavailable', `${remote.url} answers ${response.status}, but not as a hub does: is it one?`)
}

async function reach(remote: RemoteOptions, route: string, body?: string): Promise<Response> {
  try {
    return await fetch(remote.url + route, {
      ...(body === undefined ? {} : { method: 'POST', body }),
      headers: {
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(remote.token === undefined ? {} : { authorization: `Bearer ${remote.token}` }),
      },
      signal: AbortSignal.timeout(remote.timeout),
    })
  } catch (error) {
    const timedOut = error instanceof Error && error.name === 'TimeoutError'
    const reason = timedOut ? `no answer in ${remote.timeout} ms` : reasonOf(error)
    throw new RepriseError(
      timedOut ? 'timeout' : 'unavailable',
      `no hub at ${remote.url} (${reason}): start one with "reprise serve", or give --url or REPRISE_URL`,
      { cause: error },
    )
  }
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  if (isRecord(cause) && typeof cause.code === 'string') return cause.code
  return cause instanceof Error ? cause.message : String(cause)
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
