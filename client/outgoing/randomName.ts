/** Names that nobody else has: of producers, holders and jobs. Not secrets. */

export function randomName(): string {
  const random = () => Math.random().toString(36).slice(2, 12)
  return `p${random()}${random()}`
}
