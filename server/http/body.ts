/** Reads a request's JSON body, up to a size, and says exactly what is wrong with one that cannot be read. */

import type { IncomingMessage } from 'node:http'
import { messageOf, RepriseError } from '../../shared/errors.ts'
import { changedNumber, changedNumberRule } from '../../shared/exactNumbers.ts'
import { tooMuchUnfinished, type Unfinished } from '../core/guards/unfinished.ts'
import { HttpRefusal } from './problem.ts'

/** A body that is too large is read on and thrown away up to this many times its limit, so that the answer is read. */
const PATIENCE = 8

/** What a parser of the program around has left, or what is on the wire. */
export async function readJson(
  request: IncomingMessage & { body?: unknown },
  maxBytes: number,
  unfinished: Unfinished,
): Promise<unknown> {
  if (request.readableDidRead && request.body !== undefined) return request.body
  checkType(request)
  const text = decode(await readBytes(request, maxBytes, unfinished))
  if (text.trim() === '') throw new RepriseError('bad_request', 'the body is empty; JSON is expected')
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch (cause) {
    throw new RepriseError('bad_request', `the body is not JSON: ${messageOf(cause)}`, { cause })
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

function readBytes(request: IncomingMessage, maxBytes: number, unfinished: Unfinished): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let chunks: Buffer[] = []
    let bytes = 0
    let isDropped = false
    const drop = (error: RepriseError) => {
      isDropped = true
      chunks = []
      held.end()
      reject(error)
    }
    const held = unfinished.hold(() => drop(tooMuchUnfinished()))
    const tooLarge = () => new RepriseError('too_large', `the body is over ${maxBytes} bytes`)
    const cutOff = () => drop(new RepriseError('bad_request', 'the body ended before it was complete'))
    if (request.destroyed) cutOff()
    if (Number(request.headers['content-length'] ?? 0) > maxBytes) drop(tooLarge())
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= maxBytes && !isDropped) {
        chunks.push(chunk)
        held.add(chunk.length)
        return
      }
      if (!isDropped) drop(tooLarge())
      if (bytes > maxBytes * PATIENCE) request.destroy()
    })
    request.on('end', () => {
      held.end()
      resolve(Buffer.concat(chunks))
    })
    request.on('error', cutOff)
    request.on('close', cutOff)
  })
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new RepriseError('bad_request', 'the body is not UTF-8', { cause })
  }
}
