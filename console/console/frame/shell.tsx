/** What stands around every page: the ways to the pages, whether the hub is there, what keys there are. */

import { signal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { Mark } from '../../mark.tsx'
import type { Session } from '../hub/session.ts'
import { duration, moment } from '../hub/words.ts'
import { Dialog } from './dialog.tsx'
import { GO_KEYS } from './keyboard.ts'
import { linkTo, type PageName, route } from './route.ts'

const TITLES: Readonly<Record<PageName, string>> = {
  overview: 'Overview',
  topics: 'Topics',
  clients: 'Clients',
  queues: 'Queues',
  activity: 'Activity',
  health: 'Health',
}

const isHelpOpen = signal(false)

interface ShellProps {
  readonly session: Session
  /** Leaves; absent where nobody has entered. */
  readonly leave: (() => void) | undefined
  readonly children: ComponentChildren
}

export function Shell({ session, leave, children }: ShellProps) {
  const { page, name } = route.value
  const title = name ?? TITLES[page]
  document.title = `${title} · Reprise`
  const pages = useRef<HTMLElement>(null)
  useEffect(() => {
    // On a phone they do not all have room: the one that is open is seen.
    const [nav, link] = [pages.current, pages.current?.querySelector<HTMLElement>('[aria-current]')]
    if (!nav || !link) return
    nav.scrollLeft += link.getBoundingClientRect().left - nav.getBoundingClientRect().left - 40
  }, [page])
  const content = useRef<HTMLElement>(null)
  const isFirst = useRef(true)
  useEffect(() => {
    if (!isFirst.current) {
      scrollTo(0, 0)
      // What had the focus is gone with the last page: keys go on at what is new.
      if (document.activeElement === document.body) content.current?.focus({ preventScroll: true })
    }
    isFirst.current = false
  }, [page, name])
  return (
    <>
      <button type="button" class="skip" onClick={() => content.current?.focus()}>
        To the content
      </button>
      <header class="bar">
        <a class="wordmark" href={linkTo('overview')}>
          <Mark />
          Reprise
        </a>
        <nav aria-label="Pages" ref={pages}>
          {Object.entries(TITLES).map(([to, text]) => (
            <a key={to} href={linkTo(to as PageName)} aria-current={to === page ? 'page' : undefined}>
              {text}
            </a>
          ))}
          <a href="demo?play">Demo</a>
        </nav>
        <Presence session={session} />
        <div class="who">
          <span title="who you are for the hub">{session.me.subject}</span>
          {leave !== undefined && (
            <button type="button" class="quiet" onClick={leave}>
              Leave
            </button>
          )}
          <button type="button" class="quiet" aria-label="Help: keys" onClick={() => showHelp(true)}>
            ?
          </button>
        </div>
      </header>
      <Banner session={session} />
      <main ref={content} tabIndex={-1}>
        {children}
      </main>
      {isHelpOpen.value && <Help />}
    </>
  )
}

export function showHelp(open: boolean): void {
  isHelpOpen.value = open
}

function Presence({ session }: { readonly session: Session }) {
  const summary = session.summary.value
  const isAway = session.awaySince.value !== undefined
  const isWell = !isAway && summary?.store.up === true
  const text = isAway ? 'away' : summary === undefined ? 'connecting' : isWell ? 'live' : 'store away'
  return (
    <p class={isWell ? 'state is-live' : 'state'} data-test="presence">
      {text}
    </p>
  )
}

function Banner({ session }: { readonly session: Session }) {
  const since = session.awaySince.value
  const summary = session.summary.value
  if (since !== undefined) {
    const shown = summary === undefined ? '' : ` What you see is as of ${moment(summary.at)}.`
    return (
      <p class="banner" role="status">
        The hub cannot be reached since {moment(since)}.{shown} This page goes on by itself when it is back.
      </p>
    )
  }
  if (summary?.store.up === false) {
    return (
      <p class="banner" role="status">
        The store is away: {summary.store.reason ?? 'no event goes through it'}. Publishing waits or is refused, nothing
        that was acknowledged is lost.
      </p>
    )
  }
  const { expiresAt } = session.me
  const left = expiresAt === undefined ? undefined : expiresAt - session.now()
  if (left === undefined || left > 60_000 || left < 0) return null
  return <p class="banner">Your token ends in {duration(left)}: enter with another one.</p>
}

function Help() {
  return (
    <Dialog title="Keys" close={() => showHelp(false)}>
      <dl class="keys">
        <Key keys="/" does="to the search field" />
        <Key keys="?" does="this help" />
        {Object.entries(GO_KEYS).map(([letter, page]) => (
          <Key key={letter} keys={`g ${letter}`} does={`to ${TITLES[page]}`} />
        ))}
        <Key keys="Esc" does="closes a dialog" />
      </dl>
    </Dialog>
  )
}

function Key({ keys, does }: { readonly keys: string; readonly does: string }) {
  return (
    <div>
      <dt>
        {keys.split(' ').map((key) => (
          <kbd key={key}>{key}</kbd>
        ))}
      </dt>
      <dd>{does}</dd>
    </div>
  )
}
