/** Texts that are cut where they are too long. */

/** So many characters of it at most, and no half of one: stores keep UTF-8, which has none. */
export function cutText(text: string, length: number): string {
  const cut = text.length > length ? `${text.slice(0, length - 1).replace(/\p{Surrogate}$/u, '')}…` : text
  return cut.replace(/\p{Surrogate}/gu, '\ufffd')
}
