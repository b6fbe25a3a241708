/** What a hub keeps of what happened of late: little, whatever callers call things. */

import { describe, expect, it } from 'vitest'
import { Activity } from '../../server/telemetry/activity.ts'

const all = (activity: Activity) => activity.list(0, 1_000, () => true)

describe('what happened of late', () => {
  it('has the beginning of texts that are long', () => {
    const activity = new Activity()
    const [what, reason] = ['w'.repeat(100_000), 'r'.repeat(100_000)]
    activity.add({ kind: 'refused', code: 'not_found', what, reason })
    activity.add({ kind: 'refused', code: 'not_found', what, reason })
    expect(all(activity)).toMatchObject([{ times: 2, details: { code: 'not_found', what: `${'w'.repeat(300)}…` } }])
    expect(JSON.stringify(all(activity)).length).toBeLessThan(1_000)
  })

  it('keeps each refusal beside a flood of another code', () => {
    const activity = new Activity()
    activity.add({ kind: 'refused', code: 'forbidden', what: 'publish', reason: 'not granted' })
    for (let i = 0; i < 1_000; i++)
      activity.add({ kind: 'refused', code: 'not_found', what: `GET /${i}`, reason: 'no' })
    expect(all(activity)).toHaveLength(151)
    expect(all(activity).at(-1)).toMatchObject({ details: { code: 'forbidden' } })
    expect(activity.list(0, 1_000, () => true, ['refused'])).toHaveLength(151)
    expect(activity.list(0, 1_000, () => true, ['gap'])).toEqual([])
  })

  it('tells the acts of two people apart', () => {
    const activity = new Activity()
    for (const subject of ['ann', 'ben', 'ann']) {
      activity.add({ kind: 'acted', what: 'purgeQueue', queue: 'orders', subject })
    }
    expect(all(activity).map(({ times, details }) => [details.subject, times])).toEqual([
      ['ann', 2],
      ['ben', 1],
    ])
  })
})
