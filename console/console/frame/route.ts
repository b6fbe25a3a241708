/** Where in the console the page is: in the address behind `#`, so that every place has a link and the hub may be mounted anywhere. */

import { signal } from '@preact/signals'

export const PAGES = ['overview', 'topics', 'clients', 'queues', 'activity', 'health'] as const
export type PageName = (typeof PAGES)[number]

export interface Route {
  readonly page: PageName
  /** What the page is about: a topic, a connection, a queue. */
  readonly name: string | undefined
  readonly query: URLSearchParams
}

export const route = signal(read())

addEventListener('hashchange', () => {
  route.value = read()
})

function read(): Route {
  const [path = '', search = ''] = location.hash.replace(/^#\/?/, '').split('?', 2)
  const [page = '', ...rest] = path.split('/')
  const name = rest.length === 0 ? undefined : decode(rest.join('/'))
  return { page: PAGES.find((known) => known === page) ?? 'overview', name, query: new URLSearchParams(search) }
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text) || undefined
  } catch {
    return undefined
  }
}

export function linkTo(page: PageName, name?: string, query: Readonly<Record<string, string>> = {}): string {
  const search = new URLSearchParams(query).toString()
  const path = name === undefined ? page : `${page}/${encodeURIComponent(name).replaceAll('%2F', '/')}`
  return `#/${path}${search === '' ? '' : `?${search}`}`
}

type Changes = Readonly<Record<string, string | undefined>>

/** This place with other things behind `?`. */
export function linkHere(changes: Changes): string {
  const { page, name, query } = route.value
  const next = new URLSearchParams(query)
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined || value === '') next.delete(key)
    else next.set(key, value)
  }
  return linkTo(page, name, Object.fromEntries(next))
}

/** Changes what stands behind `?` of the place, without a step of the browser's history. */
export function ask(changes: Changes): void {
  history.replaceState(null, '', linkHere(changes))
  route.value = read()
}

export function go(link: string): void {
  location.hash = link
}
