/** Who looks at the demo: the names of this tab, how it reaches the hub, and what it may do there. */

import { connect, type Hub } from '../../client/index.ts'
import { hasCode } from '../../shared/errors.ts'
import { isName } from '../../shared/names.ts'
import { type Me, may } from '../console/hub/access.ts'
import { Http } from '../console/hub/http.ts'
import { keptToken, socketPath } from '../console/hub/tab.ts'
import { tabName } from './identity.ts'

export interface Visit {
  /** A name that only this tab has. */
  readonly tab: string
  /** Names of topics and queues begin with it. */
  readonly base: string
  readonly token: string | undefined
  /** Where the hub's Socket.IO is. */
  readonly path: string
  readonly http: Http
  /** Whether the hub wants a token that this page does not have. */
  readonly isStranger: boolean
  /** Whether the first scene begins by itself, as of whoever comes from the console: `?play`. */
  readonly plays: boolean
  /** As far as the page can tell beforehand. */
  may(action: string, name: string): boolean
  /** A connection of its own. */
  connect(client?: string): Hub
}

/** What a scene adds to it has room, too. */
const MAX_BASE = 100

export async function beginVisit(): Promise<Visit> {
  // The console keeps it, where its user says so.
  const token = keptToken()
  const http = new Http(token)
  const [tab, me] = await Promise.all([tabName(), whoIs(http)])
  // `?topic=` keeps a demo apart from others.
  const asked = new URLSearchParams(location.search)
  const wanted = asked.get('topic')
  return {
    tab,
    base: isName(wanted) && wanted.length <= MAX_BASE ? wanted : 'demo',
    token,
    path: socketPath,
    http,
    isStranger: me === 'stranger',
    plays: asked.has('play') && me !== 'stranger',
    may: (action, name) => me !== 'stranger' && (me === undefined || may(me, action, name)),
    connect: (client) =>
      connect(undefined, {
        path: socketPath,
        quiet: true,
        reconnect: { maxMs: 2_000 },
        ...(client === undefined ? {} : { client }),
        ...(token === undefined ? {} : { token }),
      }),
  }
}

/** `undefined` while the hub does not say. */
async function whoIs(http: Http): Promise<Me | 'stranger' | undefined> {
  try {
    const me = await http.get<Me>('/me')
    return me.grants.length === 0 ? 'stranger' : me
  } catch (error) {
    return hasCode(error, 'unauthorized') ? 'stranger' : undefined
  }
}
