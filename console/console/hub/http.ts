/** Calls over HTTP, with the token of this page. A refusal is a `RepriseError`, a hub that is away is `unavailable`. */

import { RepriseError } from '../../../shared/errors.ts'

/** A part of a path that browsers take for a way to another one, whatever its form. */
const DOTS = /\/\.\.?(\/|\?|$)/

export class Http {
  readonly token: string | undefined

  constructor(token: string | undefined) {
    this.token = token
  }

  async ask<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
    if (DOTS.test(path)) {
      throw new RepriseError(
        'bad_request',
        'no request can have “.” or “..” in its path: look at this job with the SDK',
      )
    }
    let response: Response
    try {
      response = await fetch(`v1${path}`, {
        method,
        headers: {
          ...(this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal === undefined ? {} : { signal }),
      })
    } catch (cause) {
      throw new RepriseError('unavailable', 'the hub cannot be reached', { cause })
    }
    const text = await response.text()
    if (!response.ok) throw refusalOf(response.status, text)
    return (text === '' ? undefined : JSON.parse(text)) as T
  }

  get<T>(path: string, signal?: AbortSignal): Promise<T> {
    return this.ask('GET', path, undefined, signal)
  }
}

function refusalOf(status: number, text: string): RepriseError {
  try {
    return RepriseError.fromWire(JSON.parse(text))
  } catch {
    // A proxy in between speaks for a hub that is away.
    return new RepriseError('unavailable', `the answer was ${status}`)
  }
}

/** Names and ids in a path. */
export function part(name: string): string {
  return encodeURIComponent(name)
}
