/** Whether a subscription has what there is: a word, and a colour. */

import type { SubscriptionState } from '../../../shared/console/protocol.ts'

const WORDS: Readonly<Record<SubscriptionState, readonly [text: string, look: string, help: string]>> = {
  idle: ['idle', '', 'reads nothing: it publishes, works, or only looks'],
  live: ['live', 'is-live', 'gets events as they are published'],
  catching_up: ['catching up', '', 'reads what it has missed'],
  behind: ['behind', 'is-behind', 'was live, and does not take events as fast as they come'],
}

export function Pace({ state }: { readonly state: SubscriptionState }) {
  const [text, look, help] = WORDS[state]
  return (
    <span class={`state ${look}`} title={help}>
      {text}
    </span>
  )
}
