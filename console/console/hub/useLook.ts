/** What is asked over HTTP again and again while it is shown: the last answer stays when the hub is away. */

import { useEffect, useState } from 'preact/hooks'
import { messageOf } from '../../../shared/errors.ts'
import type { Session } from './session.ts'

const LOOK_MS = 2_000

export interface Look<T> {
  readonly value: T | undefined
  /** Why it could not be told; empty where it was, and while the hub is away. */
  readonly problem: string
  /** Asks at once. */
  readonly again: () => void
}

/** `path` behind `/v1`. */
export function useLook<T>(session: Session, path: string, everyMs = LOOK_MS): Look<T> {
  const [state, setState] = useState<{ readonly value?: T; readonly problem: string }>({ problem: '' })
  const [asked, setAsked] = useState(0)
  useEffect(() => {
    const leave = new AbortController()
    let timer: ReturnType<typeof setTimeout>
    const look = async (): Promise<void> => {
      try {
        const value = await session.http.get<T>(path, leave.signal)
        if (!leave.signal.aborted) setState({ value, problem: '' })
      } catch (error) {
        const isAway = session.awaySince.value !== undefined
        if (!leave.signal.aborted && !isAway) setState((before) => ({ ...before, problem: messageOf(error) }))
      }
      if (!leave.signal.aborted) timer = setTimeout(look, document.hidden ? 5 * everyMs : everyMs)
    }
    void look()
    return () => {
      leave.abort()
      clearTimeout(timer)
    }
  }, [session, path, everyMs, asked])
  return { value: state.value, problem: state.problem, again: () => setAsked((count) => count + 1) }
}
