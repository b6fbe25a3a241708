/** Looking for jobs: the hub looks through so many at a call, and is asked on until enough are found. */

import { useEffect, useState } from 'preact/hooks'
import { hasCode, messageOf } from '../../../shared/errors.ts'
import { part } from '../hub/http.ts'
import type { Session } from '../hub/session.ts'
import type { Job } from './jobInfo.ts'

/** Typing is waited for. */
const SETTLE_MS = 250
/** The hub asks to wait. */
const RETRY_MS = 1_000
const WANTED = 50

interface Page {
  readonly jobs: readonly Job[]
  readonly next?: string
}

export interface Search extends Page {
  readonly problem: string
  /** Whether the hub still looks. */
  readonly isLooking: boolean
  /** Looks for so many more. */
  readonly further: () => void
}

/** `path` has a query already; whoever looks for something else begins with a new component. */
export function useSearch(session: Session, path: string): Search {
  const [found, setFound] = useState<Page | undefined>(undefined)
  const [most, setMost] = useState(WANTED)
  const [problem, setProblem] = useState('')
  useEffect(() => {
    const leave = new AbortController()
    let timer: ReturnType<typeof setTimeout>
    const look = async (before: Page | undefined): Promise<void> => {
      const { jobs, next } = before ?? { jobs: [] }
      if (before !== undefined && (next === undefined || jobs.length >= most)) return
      const after = next === undefined ? '' : `&after=${part(next)}`
      try {
        const page = await session.http.get<Page>(`${path}&limit=${most - jobs.length}${after}`, leave.signal)
        if (leave.signal.aborted) return
        const all = { ...page, jobs: [...jobs, ...page.jobs] }
        setFound(all)
        await look(all)
      } catch (error) {
        if (leave.signal.aborted) return
        if (hasCode(error, 'too_many')) timer = setTimeout(look, error.retryAfterMs ?? RETRY_MS, before)
        else setProblem(messageOf(error))
      }
    }
    timer = setTimeout(look, SETTLE_MS, found)
    return () => {
      leave.abort()
      clearTimeout(timer)
    }
  }, [session, path, most])
  const { jobs, next } = found ?? { jobs: [] }
  const isOver = problem !== '' || (found !== undefined && (next === undefined || jobs.length >= most))
  return { ...(found ?? { jobs }), problem, isLooking: !isOver, further: () => setMost(jobs.length + WANTED) }
}
