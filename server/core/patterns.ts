/** Name patterns, as settings and grants use them: `*` stands for any run of characters. */

import { RepriseError } from '../../shared/errors.ts'

/** Also of the topics of queues' lives. */
export const PATTERN = /^(?:\$queue\.)?[A-Za-z0-9*][A-Za-z0-9._:*-]{0,127}$/
export const PATTERN_RULE = 'not a name pattern: 1 to 128 of A-Z a-z 0-9 . _ : - and * for any run of characters'

/** Throws `bad_request` with what a pattern is. */
export function checkPattern(pattern: string): void {
  if (PATTERN.test(pattern)) return
  throw new RepriseError('bad_request', `${JSON.stringify(pattern.slice(0, 40))} is ${PATTERN_RULE}`)
}

/** Whether a name fits a pattern. In time proportional to their lengths, as patterns come from callers. */
export function matcher(pattern: string): (name: string) => boolean {
  const [head = '', ...rest] = pattern.split('*')
  const tail = rest.pop()
  if (tail === undefined) return (name) => name === pattern
  return (name) => {
    if (name.length < head.length + tail.length || !name.startsWith(head) || !name.endsWith(tail)) return false
    const end = name.length - tail.length
    let at = head.length
    for (const part of rest) {
      const found = name.indexOf(part, at)
      if (found < 0 || found + part.length > end) return false
      at = found + part.length
    }
    return true
  }
}
