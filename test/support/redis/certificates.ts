/** Certificates for a test, made on the spot: an authority and a server that it vouches for. Needs openssl. */

import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../hub/process.ts'
import { tempFolder } from '../temp.ts'

export const hasOpenssl = spawnSync('openssl', ['version']).status === 0

export interface Certificates {
  readonly ca: string
  /** Of 127.0.0.1, and fit for a client too. */
  readonly cert: string
  readonly key: string
}

export async function makeCertificates(): Promise<Certificates> {
  const folder = await tempFolder()
  const path = (name: string): string => join(folder, name)
  const openssl = async (...args: string[]): Promise<void> => {
    const { code, stderr } = await run(['openssl', ...args])
    if (code !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`)
  }
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  await openssl(
    'req',
    '-x509',
    ...newKey,
    '-days',
    '2',
    '-subj',
    '/CN=ca',
    '-keyout',
    path('ca.key'),
    '-out',
    path('ca.pem'),
  )
  await openssl('req', ...newKey, '-subj', '/CN=server', '-keyout', path('key.pem'), '-out', path('request.pem'))
  await writeFile(path('extensions'), 'subjectAltName=IP:127.0.0.1\n')
  const signed = ['-CA', path('ca.pem'), '-CAkey', path('ca.key'), '-CAcreateserial', '-extfile', path('extensions')]
  await openssl('x509', '-req', '-in', path('request.pem'), ...signed, '-days', '2', '-out', path('cert.pem'))
  return { ca: path('ca.pem'), cert: path('cert.pem'), key: path('key.pem') }
}

/** What a Redis is told so that it speaks TLS at this port. */
export function tlsConfig({ ca, cert, key }: Certificates, port: number): Readonly<Record<string, string>> {
  return {
    'tls-port': String(port),
    'tls-cert-file': cert,
    'tls-key-file': key,
    'tls-ca-cert-file': ca,
    'tls-auth-clients': 'yes',
    'tls-cluster': 'yes',
  }
}
