/**
 * Tells when a browser has lost its network, when a page goes to where nothing of it runs, when it is back (from there, from
 * sleep, from behind others), and whether anybody sees it.
 */

export interface PageWatcher {
  offline(): void
  /** Left, to be kept in the back/forward cache, or frozen: then nothing can be asked of a server any more. */
  away(why: string, isFrozen: boolean): void
  back(): void
}

const LEFT = 'the page was left'

/** Calls until the result is called. Where there is no page, never. */
export function watchPage({ offline, away, back }: PageWatcher): () => void {
  if (typeof addEventListener !== 'function') return () => {}
  const { document } = globalThis
  let leaving: ReturnType<typeof setTimeout> | undefined
  const here = () => {
    clearTimeout(leaving)
    leaving = undefined
    back()
  }
  // Behind all that others have to say before the page is left: what is seen is hidden then, the other may be frozen at once.
  const left = () => {
    leaving = setTimeout(() => away(LEFT, false))
  }
  const changed = () => {
    if (!isHidden()) here()
    else if (leaving !== undefined) away(LEFT, false)
  }
  const frozen = () => away(leaving === undefined ? 'the browser has frozen the page' : LEFT, true)
  const listeners: readonly (readonly [target: EventTarget | undefined, event: string, listener: () => void])[] = [
    [globalThis as unknown as EventTarget, 'offline', offline],
    [globalThis as unknown as EventTarget, 'online', back],
    [globalThis as unknown as EventTarget, 'pagehide', left],
    [globalThis as unknown as EventTarget, 'pageshow', here],
    [document, 'visibilitychange', changed],
    [document, 'freeze', frozen],
    [document, 'resume', here],
  ]
  for (const [target, event, listener] of listeners) target?.addEventListener(event, listener)
  return () => {
    clearTimeout(leaving)
    for (const [target, event, listener] of listeners) target?.removeEventListener(event, listener)
  }
}

/** Whether nobody sees the page: its timers are slow then. Where there is no page, never. */
export function isHidden(): boolean {
  return (globalThis.document as Document | undefined)?.visibilityState === 'hidden'
}

/** Calls when that may be another, until the result is called. */
export function watchHidden(changed: () => void): () => void {
  const { document } = globalThis as { readonly document?: Document }
  document?.addEventListener('visibilitychange', changed)
  return () => document?.removeEventListener('visibilitychange', changed)
}
