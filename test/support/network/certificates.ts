/** Certificates for tests, made on the spot by Node alone: authorities, and servers or clients that they vouch for. */

import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { tempFolder } from '../temp.ts'

interface Pem {
  readonly cert: string
  readonly key: string
}

export interface Authority extends Pem {
  /** Of 127.0.0.1 and localhost, fit for servers and clients. */
  issue(name: string): Pem
}

export function newAuthority(name = 'authority'): Authority {
  const keys = newKeys()
  const own = certificate({ subject: name, issuer: name, keys, by: keys.privateKey, isAuthority: true })
  return {
    cert: own,
    key: pemOf(keys.privateKey),
    issue(subject) {
      const issued = newKeys()
      const cert = certificate({ subject, issuer: name, keys: issued, by: keys.privateKey, isAuthority: false })
      return { cert, key: pemOf(issued.privateKey) }
    },
  }
}

export interface CertificateFiles {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** Files of an authority and of a server that it vouches for. */
export async function certificateFiles(authority = newAuthority()): Promise<CertificateFiles> {
  const folder = await tempFolder()
  const { cert, key } = authority.issue('server')
  const files = { ca: join(folder, 'ca.pem'), cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
  await Promise.all([writeFile(files.ca, authority.cert), writeFile(files.cert, cert), writeFile(files.key, key)])
  return files
}

const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' })

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

const [SEQUENCE, SET, INTEGER, BITS, OCTETS, TEXT, TIME, OID, TRUE] = [
  ...[0x30, 0x31, 0x02, 0x03, 0x04, 0x0c, 0x17, 0x06],
  Buffer.of(0x01, 0x01, 0xff),
] as const
/** ecdsa-with-SHA256, commonName, basicConstraints, subjectAltName. */
const ECDSA = Buffer.of(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02)
const COMMON_NAME = Buffer.of(0x55, 0x04, 0x03)
const CONSTRAINTS = Buffer.of(0x55, 0x1d, 0x13)
const ALT_NAME = Buffer.of(0x55, 0x1d, 0x11)
const DAY_MS = 86_400_000

interface Wanted {
  readonly subject: string
  readonly issuer: string
  readonly keys: { readonly publicKey: KeyObject }
  readonly by: KeyObject
  readonly isAuthority: boolean
}

function certificate({ subject, issuer, keys, by, isAuthority }: Wanted): string {
  const algorithm = der(SEQUENCE, der(OID, ECDSA))
  const constraints = der(SEQUENCE, der(OID, CONSTRAINTS), TRUE, der(OCTETS, der(SEQUENCE, TRUE)))
  const names = der(SEQUENCE, der(0x82, Buffer.from('localhost')), der(0x87, Buffer.of(127, 0, 0, 1)))
  const extension = isAuthority ? constraints : der(SEQUENCE, der(OID, ALT_NAME), der(OCTETS, names))
  const body = der(
    SEQUENCE,
    der(0xa0, der(INTEGER, Buffer.of(2))),
    der(INTEGER, Buffer.concat([Buffer.of(1), randomBytes(8)])),
    algorithm,
    nameOf(issuer),
    der(SEQUENCE, timeOf(Date.now() - DAY_MS), timeOf(Date.now() + DAY_MS)),
    nameOf(subject),
    keys.publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, der(SEQUENCE, extension)),
  )
  const signature = der(BITS, Buffer.of(0), sign('sha256', body, by))
  const text = der(SEQUENCE, body, algorithm, signature).toString('base64')
  return `-----BEGIN CERTIFICATE-----\n${text.replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`
}

function nameOf(text: string): Buffer {
  return der(SEQUENCE, der(SET, der(SEQUENCE, der(OID, COMMON_NAME), der(TEXT, Buffer.from(text)))))
}

function timeOf(ms: number): Buffer {
  return der(TIME, Buffer.from(`${new Date(ms).toISOString().replace(/\D/g, '').slice(2, 14)}Z`))
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content])
  const size = length < 0x100 ? Buffer.of(0x81, length) : Buffer.of(0x82, length >> 8, length & 0xff)
  return Buffer.concat([Buffer.of(tag), size, content])
}
