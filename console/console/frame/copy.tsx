/** A text to take along: shown as it is, and copied by one click. */

import { useState } from 'preact/hooks'

const TOLD_MS = 1_500

/** `what`: names the text for who does not see it. */
export function Copyable({ text, what }: { readonly text: string; readonly what: string }) {
  const [told, setTold] = useState('')
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text)
      setTold('copied')
    } catch {
      // Pages without TLS have no clipboard on other machines.
      setTold('select the text and copy it')
    }
    setTimeout(() => setTold(''), TOLD_MS)
  }
  return (
    <div class="copyable">
      <pre>{text}</pre>
      <button type="button" class="small" aria-label={`Copy ${what}`} onClick={copy}>
        Copy
      </button>
      <span class="told" role="status">
        {told}
      </span>
    </div>
  )
}
