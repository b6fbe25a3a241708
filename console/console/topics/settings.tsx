/** The settings of a topic or a queue: what is in force, what is stored, and what a change would do before it is made. */

import { useState } from 'preact/hooks'
import { messageOf } from '../../../shared/errors.ts'
import { Act } from '../frame/confirm.tsx'
import type { Session } from '../hub/session.ts'
import { useLook } from '../hub/useLook.ts'

interface Stored {
  readonly stored: object
  readonly settings: object
}

interface SettingsProps {
  readonly session: Session
  /** Behind `/v1`. */
  readonly path: string
  readonly name: string
  /** What a change would do besides, in words: of the answer to a dry run. */
  readonly effects: (answer: Readonly<Record<string, unknown>>) => string
}

const SLOW_MS = 10_000

export function Settings({ session, path, name, effects }: SettingsProps) {
  const look = useLook<Stored>(session, `${path}/settings`, SLOW_MS)
  const [text, setText] = useState<string | undefined>(undefined)
  const [tried, setTried] = useState('')
  const known = look.value
  if (known === undefined) return <p class="soft">{look.problem === '' ? 'Looking …' : look.problem}</p>
  const shown = text ?? JSON.stringify(known.stored, null, 2)
  const isAdmin = session.may('admin', name)
  const attempt = async () => {
    try {
      const answer = await session.http.ask<Readonly<Record<string, unknown>>>(
        'PUT',
        `${path}?dryRun=true`,
        JSON.parse(shown),
      )
      setTried(`${effects(answer)} In force would be ${JSON.stringify(answer.settings)}`)
    } catch (error) {
      setTried(messageOf(error))
    }
  }
  const save = async () => {
    await session.http.ask('PUT', path, JSON.parse(shown))
    setText(undefined)
    look.again()
    return 'stored, and in force'
  }
  return (
    <div class="panel box">
      <h2>In force</h2>
      <pre>{JSON.stringify(known.settings, null, 2)}</pre>
      <label>
        Stored for exactly {name}, as JSON: it wins over the configuration file and over patterns
        <textarea
          rows={6}
          value={shown}
          spellcheck={false}
          readOnly={!isAdmin}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
        />
      </label>
      <p class="buttons">
        <button type="button" class="small" disabled={!isAdmin} onClick={attempt}>
          What would it change?
        </button>
        <Act title="Store these settings" verb="Store them" isAllowed={isAdmin} act={save}>
          <p>
            Replaces what is stored for <strong>{name}</strong>. It is in force at once on every node, and what is not
            kept any more goes within seconds.
          </p>
          <pre>{shown}</pre>
        </Act>
      </p>
      <p role="status">{tried}</p>
    </div>
  )
}
