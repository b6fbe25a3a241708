/** An empty hub: three things to do first, each copyable, and the first event by one click. */

import { useState } from 'preact/hooks'
import { messageOf } from '../../../shared/errors.ts'
import { Copyable } from '../frame/copy.tsx'
import { linkTo } from '../frame/route.ts'
import { connectCall, curl } from '../hub/elsewhere.ts'
import { part } from '../hub/http.ts'
import type { Session } from '../hub/session.ts'

const TOPIC = 'orders'

export function FirstSteps({ session }: { readonly session: Session }) {
  const [told, setTold] = useState<{ readonly offset: number } | { readonly problem: string } | undefined>(undefined)
  const publish = async () => {
    try {
      const draft = { data: { id: 1, hello: 'from the console' } }
      const { offsets } = await session.http.ask<{ offsets: number[] }>('POST', `/topics/${part(TOPIC)}/events`, draft)
      setTold({ offset: offsets[0] ?? 0 })
    } catch (error) {
      setTold({ problem: messageOf(error) })
    }
  }
  return (
    <section class="panel first" aria-labelledby="first">
      <h2 id="first">Nothing is here yet. Three things to do first</h2>
      <ol>
        <li>
          <p>Publish an event.</p>
          <p class="buttons">
            <button type="button" class="primary" onClick={publish}>
              Publish the first event
            </button>
            <span role="status">
              {told !== undefined && 'offset' in told && (
                <>
                  Stored in <a href={linkTo('topics', TOPIC)}>{TOPIC}</a> at offset {told.offset}.
                </>
              )}
              {told !== undefined && 'problem' in told && told.problem}
            </span>
          </p>
          <Copyable
            what="the command that publishes"
            text={`${curl(session.http, `/topics/${TOPIC}/events`)} \\
  -H 'content-type: application/json' -d '{"data":{"id":2}}'`}
          />
        </li>
        <li>
          <p>Subscribe from a program. It continues after what it has seen, also after a crash.</p>
          <Copyable
            what="the program that subscribes"
            text={`import { connect } from 'reprise/client'

const hub = ${connectCall(session.http, "client: 'billing'")}
hub.topic('${TOPIC}').subscribe((event) => console.log(event.offset, event.data), { from: 'start' })`}
          />
        </li>
        <li>
          <p>Send a job, and work on it.</p>
          <Copyable
            what="the program that works"
            text={`const emails = hub.queue('emails')
emails.consume(async (job) => \`sent to \${job.data.to}\`)
await emails.send({ to: 'ann' })`}
          />
        </li>
      </ol>
      <p class="soft">
        Or look at <a href="demo?play">the demo</a>: a subscriber that is cut off gets what it missed.
      </p>
    </section>
  )
}
