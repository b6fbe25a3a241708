/** What the consumers of a job told of it: how far it is, and the lines of its log. */

import { moment } from '../hub/words.ts'
import type { Job } from './jobInfo.ts'

export function Progress({ job: { progress, log = [] } }: { readonly job: Job }) {
  if (progress === undefined && log.length === 0) return null
  return (
    <section aria-label="How far it is">
      <h3>How far it is</h3>
      {progress !== undefined && <pre>{JSON.stringify(progress, null, 2)}</pre>}
      {log.length > 0 && (
        <ol class="happenings" aria-label="Its log">
          {log.map(({ at, text }, i) => (
            <li key={i} class="info">
              <time>{moment(at)}</time>
              <p>{text}</p>
            </li>
          ))}
        </ol>
      )}
    </section>
  )
}
