/** One topic: its numbers, its log, a box to publish, its settings, its cursors. */

import { Act } from '../frame/confirm.tsx'
import { Fact } from '../frame/fact.tsx'
import { Head } from '../frame/head.tsx'
import { go, linkTo } from '../frame/route.ts'
import { Tabs, viewOf } from '../frame/tabs.tsx'
import { part } from '../hub/http.ts'
import type { Session } from '../hub/session.ts'
import { useLook } from '../hub/useLook.ts'
import { bytes, count, plural } from '../hub/words.ts'
import { Cursors } from './cursors.tsx'
import { LogView } from './log.tsx'
import { PublishBox } from './publish.tsx'
import { Settings } from './settings.tsx'
import type { TopicInfo } from './tail.ts'

const VIEWS = { log: 'Events', publish: 'Publish', cursors: 'Cursors', settings: 'Settings' } as const

/** Of the answer to a dry run. */
function effectsOf({ trims }: Readonly<Record<string, unknown>>): string {
  return trims === 0 ? 'No kept event would go.' : `About ${plural(Number(trims), 'kept event')} would go.`
}

export function TopicPage({ session, topic }: { readonly session: Session; readonly topic: string }) {
  const look = useLook<TopicInfo>(session, `/topics/${part(topic)}`)
  const view = viewOf(VIEWS)
  const info = look.value
  const isAdmin = session.may('admin', topic)
  const drop = async () => {
    await session.http.ask('DELETE', `/topics/${part(topic)}`)
    go(linkTo('topics'))
    return ''
  }
  return (
    <>
      <Head of={{ page: 'topics', title: 'Topics' }} name={topic} problem={look.problem} />
      {info !== undefined && (
        <dl class="line">
          <Fact name="kept" value={`${count(info.events)} events, ${bytes(info.bytes)}`} />
          <Fact name="offsets" value={info.events === 0 ? '–' : `${count(info.first)} to ${count(info.last)}`} />
          <Fact
            name="subscribers here"
            value={<a href={linkTo('clients', undefined, { topic })}>{count(info.subscribers)}</a>}
          />
          <Fact name="cursors" value={count(info.cursors)} />
          <Fact name="epoch" value={info.epoch} />
        </dl>
      )}
      {!isAdmin && (
        <p class="soft">
          You may look: changes need <code>admin</code> on {topic}.
        </p>
      )}
      <Tabs name={topic} views={VIEWS} view={view}>
        <div class="acts">
          <Act title="Drop the topic" verb="Drop it" isAllowed={isAdmin && info !== undefined} isGrave act={drop}>
            <p>
              Drops <strong>{topic}</strong> with {plural(info?.events ?? 0, 'event')} ({bytes(info?.bytes ?? 0)}). This
              cannot be taken back.
            </p>
            <p>
              {plural(info?.cursors ?? 0, 'cursor')} and the settings stay: each reader is told exactly what it had not
              seen.
            </p>
          </Act>
        </div>
      </Tabs>
      {view === 'log' && <LogView session={session} topic={topic} info={info} />}
      {view === 'publish' && <PublishBox session={session} topic={topic} />}
      {view === 'cursors' && <Cursors session={session} topic={topic} last={info?.last ?? 0} />}
      {view === 'settings' && (
        <Settings session={session} path={`/topics/${part(topic)}`} name={topic} effects={effectsOf} />
      )}
    </>
  )
}
