/** What `pub` reads: data and headers from the command line, drafts from lines. */

import { messageOf, RepriseError } from '../../shared/errors.ts'
import { parseExact } from '../../shared/exactNumbers.ts'
import { UsageError } from '../exit.ts'
import { isRecord } from '../remote.ts'

export interface Entry {
  readonly data: unknown
  readonly id?: string
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** JSON; a text that does not begin like JSON is taken as the string it is. */
export function readData(text: string, asText: boolean): unknown {
  if (asText) return text
  try {
    return parseExact(text)
  } catch (error) {
    if (error instanceof RepriseError) throw new UsageError(`${error.message}, or give --text`)
    if (/^\s*(["[{]|-?\d|$)/.test(text)) {
      const why = messageOf(error)
      throw new UsageError(`data is not JSON: ${why}; give --text to publish it as text`)
    }
    return text
  }
}

/** Tells of an event what the topic it was read from gave it; a copy gets its own. */
const LEFT_BEHIND = ['offset', 'at', 'epoch', 'topic']

/** A line as `sub --json` prints it, or as a draft is written: data (or base64), id, key, headers. */
export function readDraft(text: string): Entry {
  const draft = parseExact(text)
  if (!isRecord(draft)) throw new RepriseError('bad_request', 'a draft is an object with data')
  if ('gap' in draft) throw new RepriseError('bad_request', 'that is a gap, which cannot be published')
  const { data, base64, id, key, headers, ...rest } = draft
  const unknown = Object.keys(rest).find((name) => !LEFT_BEHIND.includes(name))
  if (unknown !== undefined) {
    throw new RepriseError('bad_request', `${unknown} is no part of a draft; known: data, base64, id, key, headers`)
  }
  if ((data === undefined) === (base64 === undefined)) {
    throw new RepriseError('bad_request', 'a draft has either data or base64')
  }
  return {
    data: base64 === undefined ? data : readBase64(base64),
    ...(id === undefined ? {} : { id: readText('id', id) }),
    ...(key === undefined ? {} : { key: readText('key', key) }),
    ...(headers === undefined ? {} : { headers: readHeaders(headers) }),
  }
}

/** The bytes that a base64 text stands for. */
export function readBase64(value: unknown): Uint8Array {
  if (typeof value !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(value)) {
    throw new RepriseError('bad_request', 'base64 is not base64')
  }
  return Buffer.from(value, 'base64')
}

function readText(what: string, value: unknown): string {
  if (typeof value !== 'string') throw new RepriseError('bad_request', `${what} is not a string`)
  return value
}

function readHeaders(value: unknown): Record<string, string> {
  if (!isRecord(value)) throw new RepriseError('bad_request', 'headers is not an object of strings')
  return Object.fromEntries(Object.entries(value).map(([name, text]) => [name, readText(`header ${name}`, text)]))
}

/** One `--header name=value` beside those before it. */
export function collectHeader(text: string, headers: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (name === undefined || value === undefined) throw new UsageError(`--header ${text} is not name=value`)
  return { ...headers, [name]: value }
}
