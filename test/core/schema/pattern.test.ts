import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { linearPattern } from '../../../server/core/schema/pattern.ts'
import { runSeed } from '../../support/seed.ts'

function fits(source: string, text: string): boolean {
  return linearPattern(source, () => {}).test(text)
}

/** Without `\B`, which V8 also finds between the halves of a character. */
const ATOMS = ['a', 'b', '.', '[ab]', '[^a\\]]', '\\w', '\\d', '\\p{L}', 'ä', '\u{1F600}', '^', '$', '\\b', '\\u{61}']
const TIMES = ['', '*', '+', '?', '{0,2}', '{2}', '{1,}', '*?']

const { part } = fc.letrec<{ part: string }>((tie) => ({
  part: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'part' },
    fc.constantFrom(...ATOMS),
    fc.tuple(tie('part'), tie('part')).map(([a, b]) => a + b),
    fc.tuple(tie('part'), tie('part')).map(([a, b]) => `(?:${a}|${b})`),
    fc.tuple(tie('part'), fc.constantFrom(...TIMES)).map(([one, times]) => `(${one})${times}`),
    fc.constant('(?:|a)'),
  ),
}))
const text = fc.array(fc.constantFrom('a', 'b', '1', ' ', ']', '\n', 'ä', '\u{1F600}', '\ud800'), { maxLength: 9 })

describe('a pattern', () => {
  it('fits what the same expression of JavaScript fits', () => {
    fc.assert(
      fc.property(part, fc.array(text, { minLength: 1, maxLength: 8 }), (source, texts) => {
        const [ours, native] = [linearPattern(source, () => {}), new RegExp(source, 'u')]
        for (const characters of texts) {
          const one = characters.join('')
          if (ours.test(one) !== native.test(one)) throw new Error(`${source} on ${JSON.stringify(one)}`)
        }
      }),
      { seed: runSeed('patterns'), numRuns: 2_000 },
    )
  })

  it.each([
    ['^[A-Z]{2}-\\d{4}$', 'AB-1234', 'AB-12345'],
    ['^[^@\\s]+@[^@]+\\.[a-z]{2,}$', 'ann@example.org', 'ann@example'],
    ['^\\p{Lu}[\\p{L}\\-]*$', 'Örtlich-a', 'örtlich'],
    ['^(?<year>\\d{4})-(0[1-9]|1[0-2])$', '2026-12', '2026-13'],
    ['^a\\Bb\\b ', 'ab c', 'abc'],
    ['^\\ud83d\\ude00\\x41\\cJ\\/$', '\u{1F600}A\n/', '\u{1F600}A/'],
  ])('%s fits %s and not %s', (source, right, wrong) => {
    expect([fits(source, right), fits(source, wrong)]).toEqual([true, false])
  })

  it.each([
    ['(?=a)', 'ahead or behind'],
    ['(?<!a)b', 'ahead or behind'],
    ['(a)\\1', 'back to a group'],
    ['(?<n>a)\\k<n>', 'back to a group'],
    ['(?:a{900}){900}', 'too large'],
    ['(?:(?:){1000}){1000}', 'too large'],
    ['(a', 'Unterminated group'],
    ['a**', 'Nothing to repeat'],
  ])('%s is refused: %s', (source, why) => {
    expect(() => fits(source, 'a')).toThrow(why)
  })

  it.each([
    ['^(a+)+$', `${'a'.repeat(250_000)}b`],
    ['(x+x+)+y', 'x'.repeat(250_000)],
    ['^(([a-z])+.)+[A-Z]([a-z])+$', 'a'.repeat(250_000)],
    ['(.*)*(.*)*(.*)*b', 'a'.repeat(250_000)],
    ['(a|b)*a(a|b){12}$', Array.from({ length: 60_000 }, (_, i) => 'ab'[((i * i * 7) % 3) & 1]).join('')],
  ])('%s costs what the text is long', (source, long) => {
    let work = 0
    const pattern = linearPattern(source, (more) => {
      work += more
    })
    pattern.test(long)
    // A state is looked at once for each character, at the worst.
    expect(work).toBeLessThan(long.length * 200)
    expect(work).toBeGreaterThanOrEqual(long.length)
  })
})
