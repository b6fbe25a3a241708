/** Valid text made wrong: bytes changed, doubled, cut, put elsewhere, and values that programs trip over. */

import type { Random } from '../seed.ts'

/** What stands in the place of a value, or anywhere at all. */
const NASTY = [
  'null',
  'true',
  '-1',
  '0',
  '1e400',
  '9007199254740993',
  '2147483648',
  '-0',
  'NaN',
  '""',
  '[]',
  '{}',
  '[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]',
  '{"__proto__":{"a":1}}',
  '{"constructor":1}',
  '"../../etc/passwd"',
  '"\\u0000"',
  '"\\ud800"',
  '"\r\n\r\n"',
  '{"_placeholder":true,"num":99}',
  '{"_placeholder":true,"num":-1}',
  '{"_placeholder":true,"num":"toString"}',
  '*',
  '%00',
  '\u001e',
  ',',
  '{',
  ']',
  '"',
]

export function mutated(text: string, random: Random): string {
  let made = text
  for (let times = random.integer(0, 4); times > 0; times--) made = once(made, random)
  return made.slice(0, 200_000)
}

function once(text: string, random: Random): string {
  const at = random.integer(0, text.length)
  const to = Math.min(text.length, at + random.integer(1, 20))
  switch (random.integer(0, 7)) {
    case 0:
      return text.slice(0, at)
    case 1:
      return text.slice(0, at) + text.slice(to)
    case 2:
      return text.slice(0, at) + random.pick(NASTY) + text.slice(at)
    case 3:
      return text.slice(0, at) + random.pick(NASTY) + text.slice(to)
    case 4:
      return text.slice(0, to) + text.slice(at, to).repeat(random.integer(1, 2_000))
    case 5:
      return text.slice(0, at) + String.fromCharCode(random.integer(0, 65_535)) + text.slice(to)
    case 6:
      return value(text, random)
    default:
      return text.slice(at) + text.slice(0, at)
  }
}

/** One value of the JSON in it becomes another one. */
function value(text: string, random: Random): string {
  const values = [...text.matchAll(/"[^"]*"|\d+|true|false|null/g)]
  if (values.length === 0) return text
  const { index, 0: found } = random.pick(values)
  return text.slice(0, index) + random.pick(NASTY) + text.slice(index + found.length)
}
