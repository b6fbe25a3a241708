/**
 * One connection to one server, made anew when it is lost. Owns that: nothing is sent twice, no answer is awaited for
 * ever, and a command that was not sent is told from one whose answer was lost.
 */

import { Redis, type RedisOptions } from 'ioredis'
import { messageOf } from '../../../../shared/errors.ts'
import { isRefusal, NotSent, unknownOutcome } from './errors.ts'

export type Argument = string | Buffer
export type Command = readonly [name: string, ...args: Argument[]]

/** How long an answer may take before the connection is given up. */
const ANSWER_MS = 5_000
const CONNECT_MS = 2_000
/** How long a server that hangs may take to close its end. */
const DISCONNECT_MS = 200
const FIRST_RETRY_MS = 20
const LAST_RETRY_MS = 500

export interface LinkContext {
  /** Asked before each try to connect. */
  readonly options: () => RedisOptions
  /** Before a new connection is used; one that it rejects is given up. */
  readonly prepare?: ((redis: Redis) => Promise<void>) | undefined
  /** After each new connection, the first one too. */
  readonly connected?: (redis: Redis) => void
  /** After a connection that stood was lost. */
  readonly lost?: () => void
  /** After it was closed for good. */
  readonly closed?: () => void
}

export class Connection {
  readonly #context: LinkContext
  readonly #waiting = new Set<() => void>()
  #redis: Redis | undefined
  /** The same, once it may be used. */
  #usable: Redis | undefined
  #retry: NodeJS.Timeout | undefined
  #retryMs = FIRST_RETRY_MS
  #closed = false
  #lastError: Error | undefined
  #corked = false

  constructor(context: LinkContext) {
    this.#context = context
    this.#connect()
  }

  /** Why there is no connection, as far as it is known. */
  get lastError(): Error | undefined {
    return this.#lastError
  }

  #connect(): void {
    const options: RedisOptions = {
      ...this.#context.options(),
      lazyConnect: true,
      connectTimeout: CONNECT_MS,
      disconnectTimeout: DISCONNECT_MS,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      maxRetriesPerRequest: null,
      retryStrategy: () => null,
      disableClientInfo: true,
      maxLoadingRetryTime: 1_000,
    }
    const redis: Redis = new Redis(options as RedisOptions & { replyMapping?: 'legacy' })
    this.#redis = redis
    let stood = false
    redis.on('error', (error: Error) => {
      this.#lastError = error
    })
    const use = (): void => {
      if (this.#redis !== redis || redis.status !== 'ready') return
      stood = true
      this.#usable = redis
      this.#retryMs = FIRST_RETRY_MS
      this.#lastError = undefined
      this.#context.connected?.(redis)
      for (const wake of [...this.#waiting]) wake()
    }
    redis.on('ready', () => {
      const { prepare } = this.#context
      if (prepare === undefined) return use()
      prepare(redis).then(use, (error: unknown) => {
        if (error instanceof Error) this.#lastError = error
        giveUp(redis)
      })
    })
    redis.on('end', () => {
      if (this.#redis !== redis) return
      this.#redis = undefined
      this.#usable = undefined
      for (const wake of [...this.#waiting]) wake()
      if (stood) this.#context.lost?.()
      if (this.#closed) return
      this.#retry = setTimeout(() => this.#connect(), this.#retryMs)
      this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS)
    })
    // A connection that hangs before it is ready must not hang for ever.
    const patience = setTimeout(() => this.#usable !== redis && giveUp(redis), CONNECT_MS * 2)
    patience.unref()
    redis.connect().catch((error: Error) => {
      this.#lastError ??= error
    })
  }

  /** The connection, once it stands; `NotSent` when it does not by `deadline`, or is refused and that is `final`. */
  async ready(deadline: number, final = false): Promise<Redis> {
    while (this.#usable?.status !== 'ready') {
      const left = deadline - performance.now()
      const refused = final && isRefusal(this.#lastError)
      if (this.#closed || left <= 0 || refused) throw new NotSent(this.#lastError?.message ?? 'there is no connection')
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => wake(), left)
        const wake = (): void => {
          clearTimeout(timer)
          this.#waiting.delete(wake)
          resolve()
        }
        this.#waiting.add(wake)
      })
    }
    return this.#usable
  }

  /** Sends the commands in a row, and gives the answers of all. */
  async send(commands: readonly Command[], deadline: number): Promise<unknown[]> {
    const redis = this.#usable?.status === 'ready' ? this.#usable : await this.ready(deadline)
    this.#cork(redis)
    const answers = commands.map(([name, ...args]) => {
      const answer = redis.callBuffer(name, args)
      // What it waits for is done, also where the server became a replica meanwhile: no refusal of this is one of that.
      return name === 'WAIT' ? answer.catch(() => Promise.reject(unknownOutcome())) : answer
    })
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(unknownOutcome())
        giveUp(redis)
      }, ANSWER_MS)
    })
    try {
      return await Promise.race([Promise.all(answers), late])
    } catch (error) {
      for (const answer of answers) answer.catch(() => {})
      if (messageOf(error).startsWith("Stream isn't writeable")) throw new NotSent(messageOf(error))
      throw isReply(error) ? error : unknownOutcome()
    } finally {
      clearTimeout(timer)
    }
  }

  /** What is sent in one turn leaves as one piece. */
  #cork(redis: Redis): void {
    if (this.#corked) return
    this.#corked = true
    const { stream } = redis
    stream.cork()
    setImmediate(() => {
      this.#corked = false
      stream.uncork()
    })
  }

  /** Gives the connection up; another is made. */
  renew(): void {
    giveUp(this.#redis)
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#retry)
    for (const wake of [...this.#waiting]) wake()
    giveUp(this.#redis)
    this.#context.closed?.()
  }
}

/** Once: each further time would leave a listener on a socket whose other end does not close it. */
function giveUp(redis: Redis | undefined): void {
  if (redis?.stream?.writableEnded !== true) redis?.disconnect()
}

/** An error that the server answered, not one of the way to it. */
function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError'
}
