/** A hub inside a program's own Express app. `npx tsx examples/embedded.ts`. */

import { mkdtemp } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express from 'express'
import { createHub } from 'reprise'
import { connect } from 'reprise/client'

await using hub = createHub({ store: join(await mkdtemp(join(tmpdir(), 'example-')), 'data'), logLevel: 'silent' })
const app = express()
app.get('/mine', (_request, response) => void response.send('my own route'))
app.use(hub.handler)
const server = createServer(app)
hub.attach(server)
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const address = server.address()
const client = connect(`http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`)

const got = new Promise((resolve) => client.topic('news').subscribe(({ data }) => resolve(data), { from: 'start' }))
await hub.topic('news').publish('hello')
console.log('received:', await got)
await client.close()
server.close()
