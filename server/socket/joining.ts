/** Arguments and replies of calls with more binary than a packet of Socket.IO carries: the joined form at this edge. */

import { RepriseError } from '../../shared/errors.ts'
import { parseExact } from '../../shared/exactNumbers.ts'
import { type Joined, join, MAX_ATTACHMENTS, whole } from '../../shared/joined.ts'
import type { ReadPage } from '../../shared/protocol.ts'
import { attachmentsOf, mustJoin } from '../core/joining.ts'
import { type LogPage, readable } from '../core/topics/log.ts'
import { eventObject, type Kept } from '../core/topics/packet.ts'
import { MAX_SHOWN_LENGTH } from '../wire/parse.ts'

/** A reply whose value is joined; it stands in the reply beside `value: null`. */
export class JoinedReply {
  readonly joined: Joined

  constructor(joined: Joined) {
    this.joined = joined
  }
}

/** A reply's value, joined where it has to be. */
export function replying(value: unknown): unknown {
  return mustJoin(value) ? new JoinedReply(join(value)) : value
}

/** A list as a client sends it: joined as a whole, or with items that have `joined` in place of what is called `name`. */
export function incomingList(list: unknown, name: 'data' | 'reply' | 'value'): unknown {
  if (Array.isArray(list)) return list.some(isJoined) ? list.map((item) => incoming(item, name)) : list
  if (!isJoined(list)) return list
  checkKeys(list, ['joined'], 'a joined list')
  return wholeOf(list.joined)
}

/** One that may have `joined` in place of what is called `name`. */
export function incoming(item: unknown, name: 'data' | 'reply' | 'value'): unknown {
  if (!isJoined(item)) return item
  const { joined, [name]: plain = null, ...rest } = item as Record<string, unknown>
  if (plain !== null) throw new RepriseError('bad_request', `joined stands in place of ${name}, not beside it`)
  return { ...rest, [name]: wholeOf(joined) }
}

function wholeOf(joined: unknown): unknown {
  checkKeys(joined, ['json', 'parts', 'bytes'], 'joined')
  return whole(joined, parseExact)
}

/** What a key that nobody knows was to say would be lost. */
function checkKeys(value: unknown, known: readonly string[], what: string): void {
  if (typeof value !== 'object' || value === null) return
  for (const key in value) {
    if (known.includes(key)) continue
    const shown = JSON.stringify(key.slice(0, MAX_SHOWN_LENGTH))
    throw new RepriseError('unsupported', `${what}: this hub does not know ${shown}`)
  }
}

function isJoined(value: unknown): value is { readonly joined: unknown } {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, 'joined')
}

/** A page of `read` for a client that reads joined replies: all of it. */
export function wholePage(page: LogPage): unknown {
  return replying(readable(page))
}

/** A page for any client: it ends, or `back` begins, where the attachments of a packet end. */
export function fittingPage(page: LogPage, back: boolean): ReadPage {
  const events = kept(page)
  const beside = events.some(({ body }) => body.binaries !== undefined)
  const fit = beside ? fitting(back ? events.toReversed() : events) : events.length
  const shown = fit === events.length ? events : back ? events.slice(-fit) : events.slice(0, fit)
  const { gaps, ...rest } = page
  const [from, to] = [shown[0]?.offset ?? 0, shown.at(-1)?.offset ?? 0]
  const told =
    fit === events.length ? gaps : gaps?.filter(({ position: { offset } }) => (back ? offset >= from : offset < to))
  return {
    ...rest,
    events: shown.map((event) => eventObject(event, beside)),
    ...(told === undefined || told.length === 0 ? {} : { gaps: told }),
  }
}

/** How many of them travel in one packet; one always does. */
function fitting(events: readonly Kept[]): number {
  let attachments = 0
  for (const [i, { body }] of events.entries()) {
    attachments += attachmentsOf(body)
    if (attachments > MAX_ATTACHMENTS) return i
  }
  return events.length
}

function kept({ events }: LogPage): Kept[] {
  return events.flatMap((event) => ('damaged' in event ? [] : [event]))
}
