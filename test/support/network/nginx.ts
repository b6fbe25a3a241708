/** A real nginx with the configuration of examples/nginx.conf: its addresses become a test's, the rest stays as it is. */

import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { ROOT } from '../../../build/build.ts'
import { run, startChild } from '../hub/process.ts'
import { tempFolder } from '../temp.ts'
import { pathOf } from '../tools.ts'
import { until } from '../until.ts'
import { freePort } from './ports.ts'

export interface Nginx {
  /** `http://127.0.0.1:<port>`, or `https:` with a certificate. */
  readonly url: string
  /** What it has complained of: hubs that were away. */
  complaints(): string
}

export function documentedConfiguration(): string {
  return readFileSync(join(ROOT, 'examples/nginx.conf'), 'utf8')
}

interface NginxOptions {
  readonly text?: string
  /** Files of the certificate that it shows. */
  readonly tls?: { readonly cert: string; readonly key: string }
}

/** In front of three hubs. */
export async function startNginx(hubs: readonly string[], options: NginxOptions = {}): Promise<Nginx> {
  const { text = documentedConfiguration(), tls } = options
  const folder = await tempFolder()
  const port = await freePort()
  const program = pathOf('nginx')
  const path = join(folder, 'nginx.conf')
  const listening =
    tls === undefined
      ? `listen 127.0.0.1:${port};`
      : `listen 127.0.0.1:${port} ssl; ssl_certificate ${tls.cert}; ssl_certificate_key ${tls.key};`
  await writeFile(path, filledIn(text, hubs, listening, folder))
  const user = process.getuid?.() === 0 ? 'user root; ' : ''
  const globals = `${user}daemon off; pid ${join(folder, 'nginx.pid')}; error_log stderr;`
  const args = ['-p', folder, '-c', path, '-e', 'stderr', '-g', globals]
  const checked = await run([program, '-t', ...args])
  if (checked.code !== 0) throw new Error(`nginx refuses its configuration:\n${checked.stderr}`)
  // Its workers are its own children.
  const child = startChild([program, ...args], { group: true })
  await until(() => listens(port), { what: 'nginx to listen', seen: child.stderr })
  return { url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`, complaints: child.stderr }
}

function filledIn(text: string, hubs: readonly string[], listening: string, folder: string): string {
  let filled = text
  for (const [i, hub] of hubs.entries()) {
    const name = new RegExp(`\\bhub${i + 1}:3000\\b`, 'g')
    if (!filled.includes(`server hub${i + 1}:3000`)) throw new Error(`the configuration has no hub${i + 1}:3000`)
    filled = filled.replaceAll(name, new URL(hub).host)
  }
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${join(folder, name)};`,
  )
  return filled
    .replace('listen 80;', listening)
    .replace('worker_processes auto;', 'worker_processes 2;')
    .replace('http {', `http {\n  access_log off;\n  ${temporary.join('\n  ')}`)
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const done = (is: boolean): void => {
      socket.destroy()
      resolve(is)
    }
    socket.once('connect', () => done(true)).once('error', () => done(false))
  })
}
