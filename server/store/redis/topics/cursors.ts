/** The contract's cursors over Redis. The script does the work; the list is put together here. */

import { lagOf } from '../../../../shared/positions.ts'
import type { Bounds, CursorInfo, Cursors, Owner } from '../../contract/store.ts'
import { ownerKey, ownerOf } from '../../owners.ts'
import { commit, forget, open } from '../scripting/topicCodec.ts'
import type { TopicsContext } from './topics.ts'

const CURSOR_MS = 30 * 24 * 3_600_000
/** Cursors read at once. */
const PART = 500

export function createCursors(
  context: TopicsContext,
  boundsOf: (topic: string) => Promise<Bounds>,
  now: () => Promise<number>,
): Cursors {
  const { batcher, router, keys } = context
  return {
    open: async (topic, owner, start, since) => (await batcher.run(topic, open(owner, start, since))).value,

    session: async (topic, owner) => {
      context.refuseClosed()
      const [text] = await router.ask(keys.topic(topic), ['HGET', keys.cursors(topic), ownerKey(owner)])
      return Number((text as Buffer | null)?.toString().split(' ', 2)[1] ?? 0)
    },

    commit: async (topic, owner, session, position) =>
      (await batcher.run(topic, commit(owner, session, position))).value,

    list: async (topic, { after, limit, behind }) => {
      context.refuseClosed()
      const [bounds, time] = await Promise.all([boundsOf(topic), now()])
      const found: CursorInfo[] = []
      let last = after === undefined ? undefined : ownerKey(after)
      while (found.length < limit) {
        const from = last === undefined ? '-' : Buffer.concat([Buffer.from('('), last])
        const most = behind === undefined ? limit - found.length : PART
        const range = ['ZRANGEBYLEX', keys.owners(topic), from, '+', 'LIMIT', '0', String(most)] as const
        const [members] = (await router.ask(keys.topic(topic), range)) as [Buffer[]]
        if (members.length === 0) break
        const command = ['HMGET', keys.cursors(topic), ...members] as const
        const [values] = (await router.ask(keys.topic(topic), command)) as [(Buffer | null)[]]
        members.forEach((member, i) => {
          const cursor = cursorOf(ownerOf(member), values[i]?.toString(), bounds)
          if (cursor === undefined || time - cursor.usedAt >= CURSOR_MS || cursor.lag < (behind ?? 0)) return
          if (found.length < limit) found.push(cursor)
        })
        last = members.at(-1)
      }
      return found
    },

    forget: async (topic, owner) => (await batcher.run(topic, forget(owner))).value,
  }
}

function cursorOf(owner: Owner, text: string | undefined, bounds: Bounds): CursorInfo | undefined {
  const match = /^(\d+) (\d+) (\d+) ([\s\S]*)$/.exec(text ?? '')
  if (match === null) return undefined
  const [offset = 0, session = 0, usedAt = 0] = match.slice(1, 4).map(Number)
  const position = { epoch: match[4] ?? '', offset }
  return { ...owner, position, session, usedAt, lag: lagOf(bounds, position) }
}
