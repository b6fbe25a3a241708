/**
 * How binary leaves over Socket.IO, whose clients take ten attachments a packet: lists are cut there, and what has more
 * by itself, or would not pass beside binary, goes in its joined form.
 */

import { breaksBeside, isBytes, type Joined, join, MAX_ATTACHMENTS } from '../../shared/joined.ts'
import type { Body } from '../store/contract/store.ts'
import { contentOf } from './body.ts'

/** In the text of what would not pass beside binary. */
const BREAKING = /"_placeholder":true|"__proto__":/

/** What a body holds as Socket.IO can carry it. `beside`: there is binary in the same packet. */
export function carried(body: Body, beside = body.binaries !== undefined): { data: unknown; joined?: Joined } {
  const content = contentOf(body)
  const many = (body.binaries?.length ?? 0) > MAX_ATTACHMENTS
  if (!many && !(beside && BREAKING.test(body.json))) return content
  return { ...content, data: null, joined: join(content.data) }
}

/** Attachments that the body takes in a packet. */
export function attachmentsOf({ binaries }: Body): number {
  return binaries === undefined || binaries.length > MAX_ATTACHMENTS
    ? Math.sign(binaries?.length ?? 0)
    : binaries.length
}

/** Whether a value with its binary in place has to be joined to travel in one packet. */
export function mustJoin(value: unknown): boolean {
  let attachments = 0
  let breaks = false
  const stack: unknown[] = [value]
  for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
    if (typeof item !== 'object' || item === null) continue
    if (isBytes(item)) attachments++
    else {
      breaks ||= breaksBeside(item)
      for (const child of Object.values(item)) if (typeof child === 'object') stack.push(child)
    }
  }
  return attachments > MAX_ATTACHMENTS || (breaks && attachments > 0)
}
