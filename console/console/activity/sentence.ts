/** A happening in a sentence. */

import type { Happening } from '../../../shared/console/happenings.ts'
import { duration, plural } from '../hub/words.ts'

const GAP_REASONS: Readonly<Record<string, string>> = {
  trimmed: 'retention had removed them before it came',
  reset: 'the log was dropped or lost its tail',
  damaged: 'their records were damaged',
}

/** By the names of the operations in the OpenAPI document. */
const ACTS: Readonly<Record<string, string>> = {
  putTopicSettings: 'changed the settings of the topic',
  dropTopic: 'dropped the topic',
  seekCursor: 'moved the cursor of',
  forgetCursor: 'forgot the cursor of',
  putQueueSettings: 'changed the settings of the queue',
  pauseQueue: 'paused the queue',
  resumeQueue: 'resumed the queue',
  purgeQueue: 'purged the queue',
  dropQueue: 'dropped the queue',
  redriveQueue: 'sent dead letters again',
  runJob: 'made ready at once: job',
  removeJob: 'removed job',
  disconnectClient: 'disconnected',
  revoke: 'revoked a token',
  deleteRevocation: 'took back the revocation',
}

export function sentenceOf({ kind, text, details }: Happening): string {
  const word = (name: string): string => String(details[name] ?? '')
  const number = (name: string): number => Number(details[name] ?? 0)
  const who = details.client === undefined ? 'a client without a name' : word('client')
  switch (kind) {
    case 'gap': {
      const range = details.from === null ? '' : ` (${word('from')} to ${word('to')})`
      const reason = GAP_REASONS[word('reason')] ?? word('reason')
      const lost = details.count === null ? 'events of unknown number' : plural(number('count'), 'event')
      return `${who} was told that ${lost}${range} ${number('count') === 1 ? 'is' : 'are'} gone: ${reason}`
    }
    case 'refused':
      return `Refused (${word('code')}) ${word('what')}: ${word('reason')}`
    case 'takeover':
      return `A newer session of ${who} took over`
    case 'consumerLost':
      return `Consumer ${who} was lost (${word('reason')}) with ${plural(number('jobs'), 'job')}`
    case 'deadLetters':
      return `${plural(number('jobs'), 'job')} went to the dead letters: ${word('reason')}`
    case 'breakerTripped':
      return `The queue paused itself: ${number('dead')} of ${plural(number('ended'), 'job')} went to the dead letters within a minute`
    case 'lifeStuck':
      return `What happens to its jobs cannot be moved to its topic: ${word('reason')}`
    case 'lifeMoved':
      return 'What happens to its jobs is moved to its topic again'
    case 'leasesLapsed':
      return `${plural(number('jobs'), 'lease')} lapsed${details.client === undefined ? '' : ` of ${who}`}`
    case 'idsForgotten':
      return `${word('subject')} gave more ids than are remembered: ${plural(number('ids'), 'id')} forgotten early`
    case 'slow':
      return `${who} does not take its events as fast as they come: it reads from the log now, and loses nothing`
    case 'storeAway':
      return `The store was away: ${word('reason')}`
    case 'storeBack':
      return `The store was back after ${duration(number('afterMs'))}`
    case 'acted':
      return [word('subject'), ACTS[word('what')] ?? word('what'), word('client'), word('item')]
        .filter(Boolean)
        .join(' ')
    case 'started':
      return `The hub started, release ${word('version')}, its store at ${word('store')}`
    case 'stopped':
      return `The hub stopped after ${duration(number('afterMs'))}`
    default:
      return `${text[0]?.toUpperCase() ?? ''}${text.slice(1)}`
  }
}
