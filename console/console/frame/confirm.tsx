/**
 * A button for what cannot be taken back: it says what will change before anything does, and what became of it. Who may
 * not is told so beforehand.
 */

import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { messageOf } from '../../../shared/errors.ts'
import { Dialog } from './dialog.tsx'

interface ActProps {
  /** On the button, and over the dialog. */
  readonly title: string
  /** What will change. */
  readonly children: ComponentChildren
  /** On the button of the dialog. */
  readonly verb: string
  readonly isAllowed: boolean
  readonly isGrave?: boolean
  /** Resolves with a sentence on what was done. */
  readonly act: () => Promise<string>
}

export function Act({ title, children, verb, isAllowed, isGrave = false, act }: ActProps) {
  const [state, setState] = useState<'closed' | 'asking' | 'busy'>('closed')
  const [told, setTold] = useState('')
  const [problem, setProblem] = useState('')
  const run = async () => {
    setState('busy')
    setProblem('')
    try {
      setTold(await act())
      setState('closed')
    } catch (error) {
      setProblem(messageOf(error))
      setState('asking')
    }
  }
  const open = () => {
    setTold('')
    setProblem('')
    setState('asking')
  }
  return (
    <>
      <button
        type="button"
        class="small"
        disabled={!isAllowed}
        title={isAllowed ? undefined : 'your token does not allow this (admin)'}
        onClick={open}
      >
        {title}
      </button>
      <span class="told" role="status">
        {told}
      </span>
      {state !== 'closed' && (
        <Dialog title={title} close={() => setState('closed')}>
          <div class="asked">{children}</div>
          {problem !== '' && (
            <p class="problem" role="alert">
              {problem}
            </p>
          )}
          <p class="buttons">
            <button type="button" class={isGrave ? 'grave' : 'primary'} disabled={state === 'busy'} onClick={run}>
              {verb}
            </button>
          </p>
        </Dialog>
      )}
    </>
  )
}
