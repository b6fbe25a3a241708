/**
 * Engine.IO's long polling over `fetch`. Its own `Fetch`, of which the script has only what that extends, sends no cookies to
 * its own origin, and does not hear of a response that breaks off.
 */

import { Fetch } from 'engine.io-client'

export class FetchPolling extends Fetch {
  override doPoll(): void {
    this.ask('poll', undefined, (text) => this.onData(text))
  }

  override doWrite(body: string, written: () => void): void {
    this.ask('post', body, written)
  }

  private ask(what: string, body: string | undefined, done: (text: string) => void): void {
    const { extraHeaders, withCredentials, requestTimeout } = this.opts
    const headers = new Headers(extraHeaders)
    if (body !== undefined) headers.set('content-type', 'text/plain;charset=UTF-8')
    fetch(this.uri(), {
      method: body === undefined ? 'GET' : 'POST',
      ...(body !== undefined && { body }),
      headers,
      credentials: withCredentials ? 'include' : 'same-origin',
      ...(requestTimeout && { signal: AbortSignal.timeout(requestTimeout) }),
    })
      .then((response) => {
        if (response.status !== 200) throw response.status
        return response.text()
      })
      .then(done, (reason) => this.onError(`xhr ${what} error`, reason))
  }
}
