/** A hub in an Express app with cookie sessions: users have topics of their own, and no others. `npx tsx examples/sessions.ts`. */

import { randomUUID } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express from 'express'
import { createHub } from 'reprise'
import { connect } from 'reprise/client'

const users = new Map<string, string>()
const auth: Parameters<typeof createHub>[0] = {
  auth: {
    authenticate({ headers }) {
      const subject = users.get(/session=([\w-]+)/.exec(String(headers.cookie))?.[1] ?? '')
      return subject === undefined ? undefined : { subject, grants: [] }
    },
    authorize: ({ subject }, action, name) => action !== 'admin' && name.startsWith(`${subject}.`),
  },
}
await using hub = createHub({
  ...auth,
  store: join(await mkdtemp(join(tmpdir(), 'example-')), 'data'),
  logLevel: 'silent',
})
const app = express()
app.post('/login/:user', (request, response) => {
  const session = randomUUID()
  users.set(session, request.params.user)
  response.cookie('session', session, { httpOnly: true, sameSite: 'strict' }).sendStatus(204)
})
app.use(hub.handler)
const server = createServer(app)
hub.attach(server)
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const address = server.address()
const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`

// A browser carries the cookie along by itself.
const cookie = (await fetch(`${url}/login/ann`, { method: 'POST' })).headers.get('set-cookie')?.split(';')[0]
const client = connect(url, { socketOptions: { extraHeaders: { cookie } }, quiet: true })
const got = new Promise((resolve) =>
  client.topic('ann.inbox').subscribe(({ data }) => resolve(data), { from: 'start' }),
)
await hub.topic('ann.inbox').publish('hello')
console.log('ann has:', await got)
console.log('inbox of bob:', (await client.topic('bob.inbox').subscribe(() => {}).ended).code)
await client.close()
server.close()
