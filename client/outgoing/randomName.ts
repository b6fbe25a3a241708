/** Names that nobody else has: of producers, holders and jobs. Not secrets. */

/** In the places of digits: where a digit has an `e` behind it, the hub looks at all of a packet's numbers. */
const LETTERS = 'ghijklmnop'

export function randomName(): string {
  const random = () => Math.random().toString(36).slice(2, 12)
  return `p${random()}${random()}`.replace(/\d/g, (digit) => LETTERS[Number(digit)] ?? '')
}
