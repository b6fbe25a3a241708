/**
 * One stay in the console: who the caller is, the connection to the hub's namespace, and what was told last. It comes back
 * by itself after every loss, and keeps what it knows meanwhile.
 */

import { signal } from '@preact/signals'
import { Link } from '../../../client/connection/namespace.ts'
import { Connection } from '../../../client/connection/transport.ts'
import { Warnings } from '../../../client/connection/warnings.ts'
import { CONSOLE_NAMESPACE, type History, type Summary } from '../../../shared/console/protocol.ts'
import { type ErrorCode, RepriseError } from '../../../shared/errors.ts'
import { type Me, may } from './access.ts'
import { Http } from './http.ts'
import { Plots } from './plots.ts'

export class Session {
  readonly http: Http
  readonly me: Me
  readonly summary = signal<Summary | undefined>(undefined)
  /** Since when the hub is away, by its clock. */
  readonly awaySince = signal<number | undefined>(undefined)
  readonly plots = new Plots()
  readonly #connection: Connection
  readonly #link: Link
  /** How far the hub's clock is ahead of this machine's. */
  #aheadMs = 0
  readonly #ended: (error: RepriseError) => void

  constructor(http: Http, me: Me, path: string, ended: (error: RepriseError) => void) {
    this.http = http
    this.me = me
    this.#ended = ended
    const { token } = http
    const options = { path, reconnect: { maxMs: 2_000 }, ...(token === undefined ? {} : { token }) }
    this.#connection = new Connection(undefined, options, new Warnings(true), () => {})
    this.#link = new Link(this.#connection, CONSOLE_NAMESPACE, {
      introduce: () => ({}),
      joined: () => void this.#joined(),
      lost: () => this.#away(),
      refused: (error) => this.#refused(error),
    })
    this.#link.on('summary', (summary: Summary) => this.#told(summary))
    this.#link.open()
  }

  /** Whether the caller may see what is told of all names together. */
  get seesAll(): boolean {
    return this.may('read', '*')
  }

  /** What the hub's clock says, which all times that it tells are of. */
  now(): number {
    return Date.now() + this.#aheadMs
  }

  may(action: string, name: string): boolean {
    return may(this.me, action, name)
  }

  /** A call in the namespace. */
  call<T>(name: string, ...args: unknown[]): Promise<T> {
    return this.#link.call(name, ...args)
  }

  close(): void {
    this.#link.close()
    this.#connection.close()
  }

  async #joined(): Promise<void> {
    this.awaySince.value = undefined
    if (!this.seesAll) return
    try {
      this.plots.begin(await this.call<History>('history'))
    } catch {
      // It is asked again when the hub is back.
    }
  }

  #told(summary: Summary): void {
    this.#aheadMs = summary.at - Date.now()
    this.awaySince.value = undefined
    this.summary.value = summary
    const point = summary.whole?.point
    if (point !== undefined && point.length > 0) this.plots.add(summary.at, point)
  }

  #away(): void {
    this.awaySince.value ??= this.now()
  }

  #refused(error: RepriseError): void {
    if (hasEnded(error.code)) this.#ended(error)
    else this.#away()
  }
}

function hasEnded(code: ErrorCode): boolean {
  return code === 'unauthorized' || code === 'forbidden'
}

/** Who the token is for. Rejects with `unauthorized` where it is none, or where one is needed. */
export async function enter(
  token: string | undefined,
  path: string,
  ended: (error: RepriseError) => void,
): Promise<Session> {
  const http = new Http(token)
  const me = await http.get<Me>('/me')
  if (me.subject === 'anonymous' && me.grants.length === 0) {
    throw new RepriseError('unauthorized', 'this hub asks for a token')
  }
  return new Session(http, me, path, ended)
}
