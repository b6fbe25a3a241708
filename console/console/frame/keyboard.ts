/** What keys do wherever no text is typed: `/` to the search field, `?` help, `g` and a letter to a page. */

import { go, linkTo, type PageName } from './route.ts'

export const GO_KEYS: Readonly<Record<string, PageName>> = {
  o: 'overview',
  t: 'topics',
  c: 'clients',
  q: 'queues',
  a: 'activity',
  h: 'health',
}

/** A letter comes within this time after `g`. */
const CHORD_MS = 1_500

/** `help`: shows what keys there are. */
export function listenToKeys(help: () => void): void {
  let goAt = 0
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return
    const page = GO_KEYS[event.key]
    const follows = Date.now() - goAt < CHORD_MS
    goAt = 0
    if (follows && page !== undefined) go(linkTo(page))
    else if (event.key === 'g') goAt = Date.now()
    else if (event.key === '?') help()
    else if (event.key === '/') {
      const search = document.querySelector<HTMLInputElement>('input[type="search"]')
      if (search === null) return
      event.preventDefault()
      search.focus()
      search.select()
    }
  })
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)
}
