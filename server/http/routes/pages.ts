/**
 * The pages that the hub serves: console, demo, the SDK as a script. Built files as they lie in `dist`, under a policy
 * that lets nothing run but them. What is not there is passed on: a hub in somebody's program is not alone.
 */

import { existsSync, readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { fileURLToPath } from 'node:url'
import express, { type RequestHandler, type Response, type Router } from 'express'
import helmet from 'helmet'
import { RepriseError } from '../../../shared/errors.ts'

/** From the sources, `dist` lies beside the server's folder; what is built lies one folder below it. */
const DIST = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '../../../dist/' : '../', import.meta.url))
const PAGES = `${DIST}console`
const SDK = `${DIST}sdk`

/** The name of such a file changes with its content. */
const HASHED_S = 31_536_000
const SDK_FILES = ['global.js', 'light.global.js', 'mjs', 'storage.mjs'].map((ending) => `reprise-client.${ending}`)

/**
 * `isGuest`: whether a program around has said where to go on. `socketPath`: where console and demo find the hub's
 * Socket.IO; absent where there are none.
 */
export function servePages(isGuest: (request: IncomingMessage) => boolean, socketPath: string | undefined): Router {
  const router = express.Router({ caseSensitive: true })
  router.get('/', (request, response, next) => {
    // Mounted in a program without a path of its own, the front page is the program's.
    if (isGuest(request) && request.baseUrl === '') return next('router')
    if (!pathOf(request.originalUrl).endsWith('/')) return response.redirect(308, `${request.baseUrl}/`)
    next()
  })
  router.get('/', secured, (_request, response) => {
    sendText(response, (socketPath !== undefined && pageOf('index.html', socketPath)) || INDEX)
  })
  if (socketPath !== undefined) serveDemo(router, socketPath)
  router.use('/assets', express.static(`${PAGES}/assets`, { index: false, redirect: false, setHeaders: hashed }))
  router.get(
    SDK_FILES.map((name) => `/sdk/${name}`),
    (request, response) => {
      const name = request.path.slice('/sdk/'.length)
      if (!existsSync(`${SDK}/${name}`)) throw notBuilt('the SDK')
      // Anybody's page may load it; what it may then do is asked of the page that connects.
      response.set({ 'Access-Control-Allow-Origin': '*', 'X-Content-Type-Options': 'nosniff' })
      response.sendFile(name, { root: SDK, cacheControl: false, headers: { 'Cache-Control': 'no-cache' } })
    },
  )
  return router
}

function serveDemo(router: Router, socketPath: string): void {
  router.get('/demo', (request, response, next) => {
    // Its files are found relative to it.
    if (request.path.endsWith('/')) return response.redirect(308, '../demo')
    next()
  })
  router.get('/demo', secured, (_request, response) => {
    const page = pageOf('demo.html', socketPath)
    if (page === undefined) throw notBuilt('the demo')
    sendText(response, page)
  })
}

const secured: RequestHandler = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'self'"],
      // Not all browsers count WebSocket as `'self'`.
      connectSrc: ["'self'", sameHost('ws'), sameHost('wss')],
      imgSrc: ["'self'", 'data:'],
      objectSrc: ["'none'"],
      baseUri: ["'none'"],
      formAction: ["'self'"],
      frameAncestors: ["'none'"],
    },
  },
  // The hub itself speaks plain HTTP; whoever puts TLS before it decides this.
  strictTransportSecurity: false,
  crossOriginEmbedderPolicy: false,
})

function sameHost(scheme: string) {
  return ({ headers }: IncomingMessage, _response: ServerResponse): string => {
    const { host = '' } = headers
    return /^[A-Za-z0-9.:[\]-]+$/.test(host) ? `${scheme}://${host}` : "'self'"
  }
}

function hashed(response: ServerResponse): void {
  response.setHeader('Cache-Control', `public, max-age=${HASHED_S}, immutable`)
  response.setHeader('X-Content-Type-Options', 'nosniff')
}

/** It is told where the hub's Socket.IO is. `undefined` where it is not built. */
function pageOf(name: string, socketPath: string): string | undefined {
  const file = `${PAGES}/${name}`
  if (!existsSync(file)) return undefined
  const escaped = socketPath.replace(/[&"<>]/g, (sign) => `&#${sign.charCodeAt(0)};`)
  return readFileSync(file, 'utf8').replace(SOCKET_PATH, () => `<meta name="socket-path" content="${escaped}"`)
}

const SOCKET_PATH = '<meta name="socket-path" content="/socket.io"'

function sendText(response: Response, html: string): void {
  response.set('Cache-Control', 'no-cache').type('html').send(html)
}

function notBuilt(what: string): RepriseError {
  return new RepriseError('not_found', `${what} is not built: npm run build`)
}

function pathOf(url: string): string {
  return url.split('?', 1)[0] ?? ''
}

const INDEX = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Reprise</title>
<h1>Reprise</h1>
<p>A real-time hub is running here.</p>
<ul>
<li><a href="v1/topics">Topics</a></li>
<li><a href="openapi.json">HTTP interface (OpenAPI)</a></li>
<li><a href="asyncapi.json">Socket.IO interface (AsyncAPI)</a></li>
<li><a href="readyz">Is it ready?</a></li>
</ul>
</html>
`
