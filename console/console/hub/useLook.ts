/** What is asked again and again while it is shown: the last answer stays when the hub is away. */

import { useEffect, useState } from 'preact/hooks'
import { type ErrorCode, messageOf, RepriseError } from '../../../shared/errors.ts'
import type { Session } from './session.ts'

export const LOOK_MS = 2_000

export interface Look<T> {
  readonly value: T | undefined
  /** Why it could not be told; empty where it was, and while the hub is away. */
  readonly problem: string
  /** Of a refusal. */
  readonly code?: ErrorCode
  /** Asks at once. */
  readonly again: () => void
}

/** Over HTTP; `path` behind `/v1`. */
export function useLook<T>(session: Session, path: string, everyMs = LOOK_MS): Look<T> {
  return useAnswers(session, path, everyMs, (gone) => session.http.get<T>(path, gone))
}

/** By a call over the page's own connection: of the node that it shows, whichever answers HTTP. */
export function useCall<T>(session: Session, name: string, query: object): Look<T> {
  return useAnswers(session, JSON.stringify([name, query]), LOOK_MS, () => session.call<T>(name, query))
}

type State<T> = Pick<Look<T>, 'problem' | 'code'> & { readonly value?: T }

/** Asks again every so often, five times as seldom while the page is hidden. `what`: names the question. */
export function useAnswers<T>(
  session: Session,
  what: string,
  everyMs: number,
  question: (gone: AbortSignal) => Promise<T>,
): Look<T> {
  const [state, setState] = useState<State<T>>({ problem: '' })
  const [asked, setAsked] = useState(0)
  useEffect(() => {
    const leave = new AbortController()
    let timer: ReturnType<typeof setTimeout>
    const look = async (): Promise<void> => {
      try {
        const value = await question(leave.signal)
        if (!leave.signal.aborted) setState({ value, problem: '' })
      } catch (error) {
        const isAway = session.awaySince.value !== undefined
        const code = error instanceof RepriseError ? { code: error.code } : {}
        if (!leave.signal.aborted && !isAway) {
          setState(({ value }) => ({ ...(value === undefined ? {} : { value }), ...code, problem: messageOf(error) }))
        }
      }
      if (!leave.signal.aborted) timer = setTimeout(look, document.hidden ? 5 * everyMs : everyMs)
    }
    void look()
    return () => {
      leave.abort()
      clearTimeout(timer)
    }
  }, [session, what, everyMs, asked])
  return { ...state, value: state.value, again: () => setAsked((count) => count + 1) }
}
