/** Waiting that ends. */

/** Resolves with the first of these, or when the time is up. */
export async function atMost(ms: number, work: readonly Promise<unknown>[]): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([...work, deadline])
  clearTimeout(timer)
}
