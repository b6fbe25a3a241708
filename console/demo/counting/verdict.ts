/** What the counts mean, in one sentence. */

import type { Status } from '../../../client/index.ts'
import type { Counts } from './ledger.ts'

export interface Verdict {
  readonly tone: 'good' | 'calm' | 'bad'
  readonly text: string
}

export function verdictOf(counts: Counts, status: Status, isCut: boolean): Verdict {
  const { published, here, missed, replayed, lost, told, twice, disordered, earlier } = counts
  const faults = [
    lost > told ? `${events(lost - told)} lost` : '',
    twice > 0 ? `${events(twice)} twice` : '',
    disordered > 0 ? `${events(disordered)} out of order` : '',
  ].filter((fault) => fault !== '')
  if (faults.length > 0) return { tone: 'bad', text: faults.join(', ') }
  if (status.state === 'ended') return { tone: 'bad', text: `Ended: ${status.reason.code.replaceAll('_', ' ')}` }
  if (isCut || status.state === 'offline') {
    // Those of an earlier absence that a gap told of do not wait any more.
    const waiting = Math.max(0, missed - replayed - told)
    return {
      tone: 'calm',
      text: waiting === 0 ? 'Away, and nothing missed yet' : `Away: ${waiting} missed so far`,
    }
  }
  if (told > 0) return { tone: 'bad', text: `${events(told)} gone, as the gap says; the other ${here} here, in order` }
  if (published === 0 && earlier > 0) {
    return { tone: 'good', text: `${events(earlier)} from before this page was loaded, in order` }
  }
  if (published === 0) return { tone: 'calm', text: 'Waiting for the first event' }
  if (here < published)
    return { tone: 'calm', text: `${here} of ${published} are here, ${published - here} on the way` }
  const all = published === 1 ? 'The one event is here, once' : `All ${published} events are here, once, in order`
  return { tone: 'good', text: all }
}

function events(count: number): string {
  return count === 1 ? '1 event' : `${count} events`
}

/** A word for the state of a connection. */
export function stateWord(status: Status, isCut: boolean): string {
  if (isCut) return 'cut off'
  switch (status.state) {
    case 'connecting':
      return 'connecting'
    case 'catching-up':
      return 'catching up'
    case 'live':
      return 'live'
    case 'behind':
      return 'behind'
    case 'offline':
      return 'hub out of reach'
    case 'ended':
      return 'ended'
  }
}
