/** What `send` reads: job drafts from lines, as the hub takes them over HTTP. What their fields may be the SDK and the hub say. */

import { RepriseError } from '../../shared/errors.ts'
import { parseExact } from '../../shared/exactNumbers.ts'
import { type Fields, isRecord } from '../remote.ts'
import { readBase64 } from './drafts.ts'

const OWN = ['attempts', 'backoff', 'runMs', 'keepDone', 'children', 'onDeadChild']
const FIELDS = ['data', 'base64', 'id', 'key', 'group', 'headers', 'priority', 'delayMs', 'at', 'ttlMs', ...OWN]

/** Tells of a job what the queue it was in gave it; a copy gets its own. */
const LEFT_BEHIND = [
  ...['queue', 'state', 'why', 'subject', 'lease', 'deliveries', 'sentAt', 'dueAt', 'ttlAt', 'expiresAt'],
  ...[
    'replyBy',
    'holder',
    'suspect',
    'behind',
    'dead',
    'history',
    'startedAt',
    'endedAt',
    'error',
    'parent',
    'parentQueue',
    'progress',
    'progressBinary',
    'log',
  ],
]

/** A line as a draft is written, or as `jobs --json` and `work --json` print it; as the SDK takes it. */
export function readJobDraft(text: string): Record<string, unknown> {
  const given = parseExact(text)
  if (!isRecord(given)) throw new RepriseError('bad_request', 'a draft is an object with data')
  if ('damaged' in given || 'binary' in given) {
    throw new RepriseError('bad_request', 'that job holds what cannot be sent over HTTP')
  }
  const draft: Record<string, unknown> = {}
  // Of a job `attempts` are those that failed, and the most of them is `maxAttempts`; `children` are those it had.
  const isJob = 'deliveries' in given
  for (const [name, value] of Object.entries(given)) {
    if (isJob && name === 'maxAttempts') draft.attempts = value
    else if (isJob && ['attempts', 'children'].includes(name)) continue
    else if (FIELDS.includes(name)) draft[name] = value
    else if (!LEFT_BEHIND.includes(name)) {
      throw new RepriseError('bad_request', `${name} is no part of a draft; known: ${FIELDS.join(', ')}`)
    }
  }
  if ((draft.data === undefined) === (draft.base64 === undefined)) {
    throw new RepriseError('bad_request', 'a draft has either data or base64')
  }
  return withBytes(draft)
}

/** With bytes in place of `base64`, also in its children. */
function withBytes({ base64, children, ...draft }: Fields): Fields {
  return {
    ...draft,
    ...(base64 === undefined ? {} : { data: readBase64(base64) }),
    ...(children === undefined ? {} : { children: Array.isArray(children) ? children.map(childWithBytes) : children }),
  }
}

function childWithBytes(child: unknown): unknown {
  return isRecord(child) ? withBytes(child) : child
}
