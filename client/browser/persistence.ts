/**
 * What of a hub's handle outlives the page: positions and drafts. It says where they are kept, and goes on in memory where a
 * browser keeps nothing, or no longer. How they are kept is the storage's affair.
 */

import { RepriseError } from '../../shared/errors.ts'
import { join, whole } from '../../shared/joined.ts'
import type { Position } from '../../shared/positions.ts'
import type { From } from '../../shared/protocol.ts'
import { fullJitter } from '../connection/backoff.ts'
import type { Connection } from '../connection/transport.ts'
import type { Warnings } from '../connection/warnings.ts'
import type { DraftStore, KeptDraft } from '../outgoing/keeping.ts'
import type { DraftKey } from '../outgoing/packet.ts'
import { randomName } from '../outgoing/randomName.ts'
import { loadStorage } from './parts.ts'
import type { PlainDraft, StorageScope, Stored } from './stored.ts'

/** Where one subscription is, beyond the page. */
export interface Place {
  /** Called before each handshake, until there is nothing to wait for. */
  prepare?(token: string | undefined): Promise<void> | undefined
  /** Where it goes on, given what its program has said. */
  start(from: From | undefined): From | undefined
  /** Where it has to read when the hub begins at this position. */
  instead?(position: Position): From | undefined
  move(position: Position): void
}

export class Persistence implements DraftStore {
  /** Resolves when it is known what earlier pages have left. */
  readonly restored: Promise<void>
  readonly #scope: StorageScope
  readonly #warnings: Warnings
  readonly #found: (drafts: readonly KeptDraft[]) => void
  readonly #clientOf: ((token: string | undefined) => Promise<string | undefined>) | undefined
  readonly #page = randomName()
  readonly #startedAt = Date.now()
  #positions: ReadonlyMap<string, Position> = new Map()
  /** How many drafts this page has made, and which of them are settled before the storage is open. */
  #drafts = 0
  readonly #settled = new Set<DraftKey>()
  #opening: Promise<void> | undefined
  #stored: Stored | undefined
  #error: RepriseError | undefined
  #closed = false
  #known: () => void = () => {}
  #timer: ReturnType<typeof setTimeout> | undefined

  /** `clientOf`: what the client is called under a token, where that is another name in each tab. */
  constructor(
    scope: StorageScope,
    warnings: Warnings,
    found: (drafts: readonly KeptDraft[]) => void,
    clientOf?: (token: string | undefined) => Promise<string | undefined>,
  ) {
    this.#scope = scope
    this.#clientOf = clientOf
    this.#warnings = warnings
    this.#found = found
    this.restored = new Promise((resolve) => {
      this.#known = resolve
    })
    if (typeof indexedDB === 'undefined') this.#lost(new Error('there is no IndexedDB here'))
  }

  get storage(): 'indexeddb' | 'memory' {
    return this.#error === undefined ? 'indexeddb' : 'memory'
  }

  /** Why it is memory. */
  get error(): RepriseError | undefined {
    return this.#error
  }

  /**
   * Opens it before anybody connects, as a program may wait for that first. So a token function that fails is asked again:
   * there may be no handshake that would.
   */
  begin(connection: Pick<Connection, 'tokens' | 'jitter' | 'tokenFailed'>, tries = 0): void {
    const isOver = () => this.#closed || this.#opening !== undefined || this.#error !== undefined
    if (isOver()) return
    connection.tokens.get().then(
      (token) => void (isOver() || this.prepare(token)),
      (error: RepriseError) => {
        if (isOver()) return
        connection.tokenFailed(error)
        this.#timer = setTimeout(() => this.begin(connection, tries + 1), fullJitter(tries, connection.jitter))
      },
    )
  }

  /** Before anything is said to the hub: opens what belongs to this token's subject. Resolves also where that cannot be. */
  async prepare(token: string | undefined): Promise<void> {
    if (this.#error !== undefined) return
    this.#opening ??= this.#open(token)
    await this.#opening
    if (this.#stored === undefined || (await this.#stored.isOf(token))) return
    this.#stored?.lose(new Error('the token is of another subject: each needs a handle of its own'))
  }

  async #open(token: string | undefined): Promise<void> {
    try {
      const { openStorage } = await loadStorage()
      const scope = this.#clientOf === undefined ? this.#scope : { ...this.#scope, client: await this.#clientOf(token) }
      const { stored, positions, drafts } = await openStorage(scope, token, (error) => this.#lost(error))
      if (this.#closed) return await stored.close()
      this.#stored = stored
      this.#positions = positions
      this.#found(drafts.map(([key, draft]) => keptOf(key, draft)))
    } catch (error) {
      this.#lost(error)
    }
    this.#known()
  }

  #lost(cause: unknown): void {
    this.#stored = undefined
    const { name = '', message = String(cause) } = Object(cause) as Partial<Error>
    const why = name === '' || name === 'Error' ? message : `${name}: ${message}`
    const code = name === 'QuotaExceededError' ? 'storage_full' : 'unavailable'
    this.#error = new RepriseError(code, `positions and drafts are kept in memory only: ${why}`, { cause })
    this.#warnings.tell('storage', this.#error.message)
    this.#known()
  }

  place(subscription: string): Place {
    return {
      start: (from) => further(this.#positions.get(subscription), from),
      move: (position) => this.#stored?.move(subscription, position),
    }
  }

  nextKey(): DraftKey {
    return [this.#startedAt, this.#page, ++this.#drafts]
  }

  async put(drafts: readonly KeptDraft[], strict: boolean): Promise<void> {
    await this.restored
    const waiting = drafts.filter(({ key }) => !this.#settled.has(key))
    await this.#stored?.put(new Map(waiting.map((draft) => [draft.key, plainOf(draft)])), strict)
  }

  delete(key: DraftKey): void {
    if (this.#stored !== undefined) this.#stored.delete(key)
    else if (this.#error === undefined) this.#settled.add(key)
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#known()
    await this.#stored?.close()
    this.#stored = undefined
  }
}

function plainOf({ key: _, draft: { data, ...draft }, ...rest }: KeptDraft): PlainDraft {
  return { ...rest, draft: { ...draft, joined: join(data) } }
}

function keptOf(key: DraftKey, { draft: { joined, ...draft }, ...rest }: PlainDraft): KeptDraft {
  return { ...rest, key, draft: { ...draft, data: whole(joined) } }
}

/** Words place only what has no place yet; of two positions in one log the further one counts, else the program's. */
function further(kept: Position | undefined, from: From | undefined): From | undefined {
  if (kept === undefined) return from
  if (typeof from !== 'object' || !('epoch' in from)) return kept
  return kept.epoch === from.epoch && kept.offset > from.offset ? kept : from
}
