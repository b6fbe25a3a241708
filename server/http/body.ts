/** Reads a request's JSON body, up to a size, and says exactly what is wrong with one that cannot be read. */

import type { IncomingMessage } from 'node:http'
import { RepriseError } from '../../shared/errors.ts'
import { changedNumber, changedNumberRule } from '../../shared/exactNumbers.ts'
import { HttpRefusal } from './problem.ts'

/** A body that is too large is read on and thrown away up to this many times its limit, so that the answer is read. */
const PATIENCE = 8

/** What a parser of the program around has left, or what is on the wire. */
export async function readJson(request: IncomingMessage & { body?: unknown }, maxBytes: number): Promise<unknown> {
  if (request.readableDidRead && request.body !== undefined) return request.body
  checkType(request)
  const text = decode(await readBytes(request, maxBytes))
  if (text.trim() === '') throw new RepriseError('bad_request', 'the body is empty; JSON is expected')
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new RepriseError('bad_request', `the body is not JSON: ${why}`, { cause })
  }
  const changed = changedNumber(text)
  if (changed !== undefined) throw new RepriseError('bad_request', `the body: ${changedNumberRule(changed)}`)
  return body
}

/** Whether the request says that it has one. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

function checkType({ headers }: IncomingMessage): void {
  const [type = '', ...parameters] = (headers['content-type'] ?? '').toLowerCase().split(';')
  if (!/^application\/(json|[a-z0-9.-]+\+json)$/.test(type.trim())) {
    const given = type === '' ? 'there is none' : `not ${type.trim()}`
    throw new HttpRefusal(415, `the Content-Type has to be application/json; ${given}`, { Accept: 'application/json' })
  }
  const [, charset] =
    /^\s*charset\s*=\s*"?([^"\s]+)/.exec(parameters.find((one) => one.includes('charset')) ?? '') ?? []
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8') {
    throw new HttpRefusal(415, `the charset of JSON is utf-8, not ${charset}`)
  }
  const encoding = headers['content-encoding']?.toLowerCase() ?? 'identity'
  if (encoding !== 'identity') {
    throw new HttpRefusal(415, `the body is sent as it is, not with the Content-Encoding ${encoding}`, {
      'Accept-Encoding': 'identity',
    })
  }
}

function readBytes(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const tooLarge = () => new RepriseError('too_large', `the body is over ${maxBytes} bytes`)
    if (request.destroyed) reject(new RepriseError('bad_request', 'the body ended before it was complete'))
    const declared = Number(request.headers['content-length'] ?? 0)
    if (declared > maxBytes) reject(tooLarge())
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= maxBytes) {
        chunks.push(chunk)
        return
      }
      chunks.length = 0
      reject(tooLarge())
      if (bytes > maxBytes * PATIENCE) request.destroy()
    })
    request.on('end', () => resolve(Buffer.concat(chunks)))
    request.on('error', () => reject(new RepriseError('bad_request', 'the body ended before it was complete')))
    request.on('close', () => reject(new RepriseError('bad_request', 'the body ended before it was complete')))
  })
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new RepriseError('bad_request', 'the body is not UTF-8', { cause })
  }
}
