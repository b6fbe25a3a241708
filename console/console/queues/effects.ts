/** What other settings would do to a queue, in words. */

import { count, plural } from '../hub/words.ts'

interface Would {
  readonly drops: number
  readonly deadLetters: number
  readonly more: boolean
  readonly refuses: boolean
  readonly binds: readonly string[]
  readonly unbinds: readonly string[]
}

/** Of the answer to a dry run. */
export function effectsOf(answer: Readonly<Record<string, unknown>>): string {
  const { drops, deadLetters, more, refuses, binds, unbinds } = answer.would as Would
  const least = more ? 'at least ' : ''
  const found = [
    drops > 0 && `${least}${plural(drops, 'dead letter')} would go`,
    deadLetters > 0 &&
      `${least}${count(deadLetters)} of the waiting jobs would be dead-lettered, as they failed too often`,
    more &&
      drops + deadLetters === 0 &&
      'the first 1,000 jobs would stay as they are, and the others were not looked at',
    refuses && 'it is full then, and takes no more jobs for now',
    binds.length > 0 && `${binds.join(', ')} would be bound to it`,
    unbinds.length > 0 && `${unbinds.join(', ')} would no longer be bound to it`,
  ].filter((text) => text !== false)
  const text = found.length === 0 ? 'no job would go' : found.join('; ')
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}
