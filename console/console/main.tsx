/** Puts the console together: who is looking, the pages, and the way from one to the next. */

import { signal } from '@preact/signals'
import { render } from 'preact'
import { hasCode, messageOf, type RepriseError } from '../../shared/errors.ts'
import { ActivityPage } from './activity/page.tsx'
import { ClientsPage } from './clients/page.tsx'
import { listenToKeys } from './frame/keyboard.ts'
import { Login } from './frame/login.tsx'
import { route } from './frame/route.ts'
import { Shell, showHelp } from './frame/shell.tsx'
import { HealthPage } from './health/page.tsx'
import { enter, type Session } from './hub/session.ts'
import { forgetToken, keepToken, keptToken, socketPath } from './hub/tab.ts'
import { OverviewPage } from './overview/page.tsx'
import { QueuesPage } from './queues/page.tsx'
import { TopicsPage } from './topics/page.tsx'

const RETRY_MS = 2_000

type Phase =
  | { readonly name: 'starting'; readonly problem: string }
  | { readonly name: 'login'; readonly reason: string }
  | { readonly name: 'in'; readonly session: Session }

const phase = signal<Phase>({ name: 'starting', problem: '' })

/** `isTyped`: whoever has just typed a token may change it, whatever became of it. */
async function begin(token: string | undefined, isTyped = false): Promise<void> {
  try {
    phase.value = { name: 'in', session: await enter(token, socketPath, ended) }
  } catch (error) {
    if (hasCode(error, 'unauthorized') || hasCode(error, 'forbidden') || isTyped) {
      forgetToken()
      phase.value = { name: 'login', reason: token === undefined ? '' : messageOf(error) }
    } else {
      phase.value = { name: 'starting', problem: messageOf(error) }
      setTimeout(() => void begin(token), RETRY_MS)
    }
  }
}

/** What a header can carry: anything else would look like a hub that is not there. */
const SENDABLE = /^[\x21-\x7e]+$/

async function login(token: string, keep: boolean): Promise<void> {
  if (SENDABLE.test(token)) await begin(token, true)
  else
    phase.value = { name: 'login', reason: 'it has characters that no token has, such as a space or a quotation mark' }
  if (keep && phase.value.name === 'in') keepToken(token)
}

function ended(error: RepriseError): void {
  leave(error.message)
}

function leave(reason = ''): void {
  if (phase.value.name === 'in') phase.value.session.close()
  forgetToken()
  phase.value = { name: 'login', reason }
}

const PAGES = {
  overview: OverviewPage,
  topics: TopicsPage,
  clients: ClientsPage,
  queues: QueuesPage,
  activity: ActivityPage,
  health: HealthPage,
}

function App() {
  const now = phase.value
  if (now.name === 'login') return <Login reason={now.reason} enter={login} />
  if (now.name === 'starting') {
    return (
      <main class="login">
        <p class="soft" role="status">
          {now.problem === '' ? 'Looking for the hub …' : `${now.problem}. This page tries again.`}
        </p>
      </main>
    )
  }
  const { session } = now
  const Page = PAGES[route.value.page]
  return (
    <Shell session={session} leave={session.http.token === undefined ? undefined : () => leave()}>
      <Page session={session} />
    </Shell>
  )
}

listenToKeys(() => showHelp(true))
const page = document.getElementById('page')
if (page !== null) render(<App />, page)
void begin(keptToken())
