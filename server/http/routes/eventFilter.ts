/** Which events of a page somebody looks for: by key, by header, by text of the data. A page is looked through, no more. */

import type { LogPage } from '../../core/topics/log.ts'
import type { Kept } from '../../core/topics/packet.ts'

/** Events that one call looks through. */
export const LOOKED_THROUGH = 1_000

export interface EventFilter {
  readonly key: string | undefined
  /** `name:value`, or `name` alone for any value. */
  readonly header: string | undefined
  /** A part of the data's JSON text, in letters of either case. */
  readonly text: string | undefined
}

/** `next`: only where it was looked through. */
export interface FoundPage extends LogPage {
  readonly next?: number
}

export function isFilter({ key, header, text }: EventFilter): boolean {
  return key !== undefined || header !== undefined || text !== undefined
}

/**
 * At most `limit` events of the page that fit, and the offset behind which (with `back`: before which) to go on. It is the
 * page's end where that has no more.
 */
export function lookThrough(page: LogPage, filter: EventFilter, limit: number, back: boolean): FoundPage {
  const fits = fitting(filter)
  const found = page.events.filter((event) => !('damaged' in event) && fits(event))
  const shown = back ? found.slice(-limit) : found.slice(0, limit)
  const isCut = shown.length < found.length
  const edge = back ? (isCut ? shown[0] : page.events[0]) : isCut ? shown.at(-1) : page.events.at(-1)
  return { ...page, events: shown, next: edge?.offset ?? (back ? page.first : page.last) }
}

function fitting({ key, header, text }: EventFilter): (event: Kept) => boolean {
  const [name = '', value] = header === undefined ? [] : splitHeader(header)
  const part = text?.toLowerCase()
  return ({ body: { json } }) => {
    // Most events are out without being parsed.
    if (key !== undefined && !json.includes(JSON.stringify(key))) return false
    if (header !== undefined && !json.includes(JSON.stringify(name))) return false
    if (part !== undefined && !json.toLowerCase().includes(part)) return false
    const event = JSON.parse(json) as { data: unknown; key?: string; headers?: Readonly<Record<string, string>> }
    if (key !== undefined && event.key !== key) return false
    const told = event.headers !== undefined && Object.hasOwn(event.headers, name) ? event.headers[name] : undefined
    if (header !== undefined && (told === undefined || (value !== undefined && told !== value))) return false
    return part === undefined || JSON.stringify(event.data).toLowerCase().includes(part)
  }
}

function splitHeader(header: string): [name: string, value: string | undefined] {
  const colon = header.indexOf(':')
  return colon < 0 ? [header, undefined] : [header.slice(0, colon), header.slice(colon + 1).trim()]
}
