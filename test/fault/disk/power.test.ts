/**
 * Power loss: strace tells in which order the hub wrote, synced and answered; from that the data file is put together as
 * the disk would have it at any moment.
 */

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join as joinPath } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Position } from '../../../shared/positions.ts'
import { readAll } from '../../support/books/ledger.ts'
import { Publisher } from '../../support/clients/publisher.ts'
import { join } from '../../support/clients/wire.ts'
import { Witness } from '../../support/clients/witness.ts'
import { Disk } from '../../support/disk/disk.ts'
import { killTraced, mayTrace, type Step, stepsOf, traceTo } from '../../support/disk/trace.ts'
import { startHub } from '../../support/hub/hub.ts'
import { folderPlace } from '../../support/hub/stores.ts'
import { runSeed, seededRandom } from '../../support/seed.ts'
import { diskFolder } from '../../support/temp.ts'
import { soak } from '../../support/tools.ts'

const TOPIC = 'orders'
const DRAFTS = soak ? 3_000 : 240
const LOSSES = soak ? 300 : 12

/** What clients have been told by a `sent` step. */
interface Told {
  /** Offsets of events: acknowledged to a publisher or delivered to a subscriber. */
  readonly offsets: readonly number[]
  /** Where the hub says the cursor is. */
  readonly cursor: number | undefined
  /** The last event delivered. */
  readonly delivered: Position | undefined
}

describe.runIf(mayTrace())('a hub whose machine loses its power', () => {
  it('has told nobody of anything that the disk does not have', { timeout: soak ? 1_800_000 : 60_000 }, async () => {
    const random = seededRandom(runSeed('power loss'))
    const { steps, events } = await traced()
    const numberOf = new Map(events.map(({ offset, data }) => [offset, `"by":"${data.by}","n":${data.n}`]))

    // Every answer and every delivery, one by one: its events were in synced pages that a synced root leads to.
    const committed = new Set<string>()
    let written = new Set<string>()
    const syncing = new Map<number, Set<string>>()
    let synced = new Set<string>()
    let answers = 0
    for (const step of steps) {
      if (step.kind === 'write' && step.onDisk) {
        for (const mark of synced) committed.add(mark)
        synced = new Set()
      } else if (step.kind === 'write') {
        for (const mark of marksIn(step.bytes.toString('latin1'))) written.add(mark)
      } else if (step.kind === 'syncing') {
        syncing.set(step.sync, written)
        written = new Set()
      } else if (step.kind === 'synced') {
        for (const mark of syncing.get(step.sync) ?? []) synced.add(mark)
      } else {
        const { offsets } = toldBy(step)
        for (const offset of offsets) {
          const mark = numberOf.get(offset)
          if (mark === undefined) throw new Error(`event ${offset} was told and is not there`)
          expect(committed.has(mark), `event ${offset} was on the disk when a client was told of it`).toBe(true)
          answers += 1
        }
      }
    }
    // Each event at least to its publisher and to two subscribers.
    expect(answers).toBeGreaterThanOrEqual(DRAFTS * 3)

    // At some moments the file itself, opened by a hub.
    const telling = steps.flatMap((step, at) => (step.kind === 'sent' && toldBy(step).offsets.length > 0 ? [at] : []))
    const moments = new Set(random.shuffle(telling).slice(0, LOSSES))
    const disk = new Disk()
    let head = 0
    let cursor = 0
    let position: Position | undefined
    for (const [at, step] of steps.entries()) {
      disk.apply(step)
      if (step.kind === 'sent') {
        const told = toldBy(step)
        head = Math.max(head, ...told.offsets)
        cursor = Math.max(cursor, told.cursor ?? 0)
        position = told.delivered ?? position
      }
      if (!moments.has(at)) continue
      for (const image of [disk.image(), disk.image(random)]) await survives(image, { head, cursor, position })
    }
  })

  /** A hub at work under strace, then killed. */
  async function traced() {
    const folder = await diskFolder()
    const data = joinPath(folder, 'data')
    const trace = joinPath(folder, 'trace')
    const hub = await folderPlace(data).spawn({ wrapper: traceTo(trace), deadlineMs: 40_000 })
    const publisher = new Publisher(hub.url, TOPIC, { name: 'p1', batch: 3, total: DRAFTS / 2 })
    const single = new Publisher(hub.url, TOPIC, { name: 'p2', batch: 1, window: 2, padding: 3_000, total: DRAFTS / 2 })
    const witnesses = [
      new Witness(hub.url, TOPIC, 'position', {}),
      new Witness(hub.url, TOPIC, 'cursor', { client: 'c1', from: 'start' }),
    ]
    await publisher.settled()
    await single.settled()
    for (const witness of witnesses) {
      await witness.reaches(DRAFTS)
      expect(witness.faults).toEqual([])
    }
    const events = await readAll(hub.url, TOPIC)
    await killTraced(hub)
    return { steps: stepsOf(await readFile(trace, 'latin1'), joinPath(data, 'data.mdb')), events }
  }

  async function survives(
    image: Buffer,
    told: { readonly head: number; readonly cursor: number; readonly position: Position | undefined },
  ): Promise<void> {
    const folder = joinPath(await diskFolder(), 'data')
    await mkdir(folder)
    await writeFile(joinPath(folder, 'data.mdb'), image)
    const hub = await startHub({ store: folder })
    const events = await readAll(hub.url, TOPIC)
    expect(events.length).toBeGreaterThanOrEqual(told.head)
    expect(events.map(({ offset }) => offset)).toEqual(events.map((_, i) => i + 1))
    if (told.position !== undefined) {
      const wire = await join(hub.url, TOPIC, { from: told.position })
      await wire.seen('live')
      expect(wire.all('gap')).toEqual([])
      const missed = wire.events().map(({ offset }) => offset)
      expect(missed).toEqual(events.map(({ offset }) => offset).slice(told.position.offset))
      wire.close()
    }
    const wire = await join(hub.url, TOPIC, { client: 'c1', from: 'start' })
    const { position } = await wire.seen('subscribed')
    expect(position.offset).toBeGreaterThanOrEqual(told.cursor)
    wire.close()
    await hub.close()
  }
})

function marksIn(text: string): string[] {
  return text.match(/"by":"p\d","n":\d+/g) ?? []
}

function toldBy({ text }: Extract<Step, { kind: 'sent' }>): Told {
  const delivered = Array.from(text.matchAll(/"offset":(\d+),"at":/g), ([, offset]) => Number(offset))
  const replied = Array.from(text.matchAll(/"offsets":\[([\d,]+)\]/g), ([, list = '']) => list.split(',').map(Number))
  const ack = /\[\{"ok":true,"value":\{"epoch":"[^"]+","offset":(\d+)\}\}\]/.exec(text)
  const epoch = /"events",\{"epoch":"([^"]+)"/.exec(text)?.[1]
  const last = delivered.at(-1)
  return {
    offsets: [...delivered, ...replied.flat()],
    cursor: ack === null ? undefined : Number(ack[1]),
    delivered: epoch === undefined || last === undefined ? undefined : { epoch, offset: last },
  }
}
