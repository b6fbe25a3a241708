/** The events that are published: 100 bytes of JSON each, numbered. */

export interface Load {
  readonly n: number
  readonly text: string
}

export const EVENT_BYTES = 100

const FRAME_BYTES = JSON.stringify({ n: 0, text: '' }).length - 1
const texts = Array.from({ length: 12 }, (_, digits) => 'x'.repeat(EVENT_BYTES - FRAME_BYTES - digits))

export function loadOf(n: number): Load {
  return { n, text: texts[`${n}`.length] ?? '' }
}

/** Milliseconds of a clock that all processes of this machine share. */
export function sharedNowMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000
}

/** Calls `one` for 1 … `count`, so many at a time; rejects with its first failure. */
export async function keepOutstanding(
  count: number,
  outstanding: number,
  one: (n: number) => Promise<unknown>,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    let begun = 0
    let done = 0
    const next = () => {
      if (begun === count) return
      begun += 1
      one(begun).then(() => {
        done += 1
        if (done === count) resolve()
        else next()
      }, reject)
    }
    for (let i = 0; i < Math.min(count, outstanding); i++) next()
  })
}
