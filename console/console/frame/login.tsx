/** Asks for a token or a key, where the hub wants to know who is calling. */

import { useState } from 'preact/hooks'
import { Mark } from '../../mark.tsx'

interface LoginProps {
  /** Why the last one was refused, or why one is needed. */
  readonly reason: string
  readonly enter: (token: string, keep: boolean) => Promise<void>
}

export function Login({ reason, enter }: LoginProps) {
  const [busy, setBusy] = useState(false)
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget as HTMLFormElement)
    setBusy(true)
    await enter(String(form.get('token')).trim(), form.get('keep') === 'on')
    setBusy(false)
  }
  return (
    <main class="login">
      <form class="panel" onSubmit={submit}>
        <p class="wordmark">
          <Mark />
          Reprise
        </p>
        <h1>Who is looking?</h1>
        <p class="soft">This hub asks for a token or an API key. What you see is what yours may read.</p>
        <label for="token">Token or key</label>
        <input id="token" name="token" type="password" autocomplete="off" required spellcheck={false} />
        <label class="check">
          <input type="checkbox" name="keep" />
          Keep it in this tab until the tab is closed
        </label>
        {reason !== '' && (
          <p class="problem" role="alert">
            {reason}
          </p>
        )}
        <button type="submit" class="primary" disabled={busy}>
          Enter
        </button>
      </form>
    </main>
  )
}
