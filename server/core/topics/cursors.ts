/** Cursors as callers use them: acknowledge, look who is where, place, forget. */

import { RepriseError } from '../../../shared/errors.ts'
import { isName, nameRule } from '../../../shared/names.ts'
import type { Position } from '../../../shared/positions.ts'
import type { CursorInfo, Owner, Store } from '../../store/contract/store.ts'
import { authorize, type Caller } from '../access.ts'
import { itsTurn, PAGE_WEIGHT } from '../turns.ts'
import { checkTopic } from './log.ts'

/** Cursors that are counted in one step of the store. */
const COUNT_PAGE = 1_000

export class CursorBook {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  /** Moves the caller's cursor; durable when it resolves. Answers where it is now. */
  async ack(caller: Caller, topic: string, session: number, position: Position): Promise<Position> {
    checkTopic(topic)
    authorize(caller, 'subscribe', topic)
    const { subject, client } = caller
    if (client === undefined) {
      throw new RepriseError('bad_request', 'ack needs a client in the handshake: its name names the cursor')
    }
    if (session === 0) throw new RepriseError('bad_request', 'ack needs a subscription: subscribe first')
    return await this.#store.cursors.commit(topic, { subject, client }, session, position)
  }

  async list(
    caller: Caller,
    topic: string,
    query: { readonly after?: Owner | undefined; readonly limit: number; readonly behind?: number },
  ): Promise<CursorInfo[]> {
    checkTopic(topic)
    authorize(caller, 'admin', topic)
    return await this.#store.cursors.list(topic, query)
  }

  /** How many there are. Counted up to `most`, as there may be a million: that many then stands for more. */
  async count(caller: Caller, topic: string, most: number): Promise<number> {
    checkTopic(topic)
    authorize(caller, 'read', topic)
    let count = 0
    let after: Owner | undefined
    for (;;) {
      await itsTurn(PAGE_WEIGHT)
      const limit = Math.min(COUNT_PAGE, most - count)
      const page = await this.#store.cursors.list(topic, { after, limit })
      count += page.length
      after = page.at(-1)
      if (page.length < limit || count >= most) return count
    }
  }

  /** Puts a cursor somewhere else, back or forth: a new session, so the client's open one ends with `taken_over`. */
  async place(caller: Caller, topic: string, owner: Owner, position: Position): Promise<Position> {
    checkTopic(topic)
    checkClient(owner.client)
    authorize(caller, 'admin', topic)
    return (await this.#store.cursors.open(topic, owner, { place: position })).position
  }

  async forget(caller: Caller, topic: string, owner: Owner): Promise<void> {
    checkTopic(topic)
    checkClient(owner.client)
    authorize(caller, 'admin', topic)
    if (!(await this.#store.cursors.forget(topic, owner))) {
      throw new RepriseError('not_found', `${owner.client} has no cursor on ${topic}`)
    }
  }
}

function checkClient(client: string): void {
  if (!isName(client)) throw new RepriseError('bad_request', nameRule('client', client))
}
