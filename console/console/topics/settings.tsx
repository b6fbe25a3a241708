/** The settings of a topic or a queue: what is in force, what is stored, and what a change would do before it is made. */

import { useState } from 'preact/hooks'
import { messageOf } from '../../../shared/errors.ts'
import { Act } from '../frame/confirm.tsx'
import type { Session } from '../hub/session.ts'
import { useLook } from '../hub/useLook.ts'
import { plural } from '../hub/words.ts'

interface Stored {
  readonly stored: object
  readonly settings: object
}

interface SettingsProps {
  readonly session: Session
  /** Behind `/v1`. */
  readonly path: string
  readonly name: string
  /** Whether the hub can say what a change would remove. */
  readonly hasDryRun?: boolean
}

const SLOW_MS = 10_000

export function Settings({ session, path, name, hasDryRun = true }: SettingsProps) {
  const look = useLook<Stored>(session, `${path}/settings`, SLOW_MS)
  const [text, setText] = useState<string | undefined>(undefined)
  const [tried, setTried] = useState('')
  const known = look.value
  if (known === undefined) return <p class="soft">{look.problem === '' ? 'Looking …' : look.problem}</p>
  const shown = text ?? JSON.stringify(known.stored, null, 2)
  const isAdmin = session.may('admin', name)
  const attempt = async () => {
    try {
      const { trims, settings } = await session.http.ask<{ trims?: number; settings: object }>(
        'PUT',
        `${path}?dryRun=true`,
        JSON.parse(shown),
      )
      const what = trims === 0 ? 'No kept event would go.' : `About ${plural(trims ?? 0, 'kept event')} would go.`
      setTried(`${what} In force would be ${JSON.stringify(settings)}`)
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
        {hasDryRun && (
          <button type="button" class="small" disabled={!isAdmin} onClick={attempt}>
            What would it trim?
          </button>
        )}
        <Act title="Store these settings" verb="Store them" isAllowed={isAdmin} act={save}>
          <p>
            Replaces what is stored for <strong>{name}</strong>. It is in force at once on every node
            {hasDryRun ? ', and what retention does not keep any more goes within seconds.' : '.'}
          </p>
          <pre>{shown}</pre>
        </Act>
      </p>
      <p role="status">{tried}</p>
    </div>
  )
}
