/**
 * Tells when a browser has lost its network, when a page is back (from sleep, from behind others, from the cache), and
 * whether anybody sees it.
 */

export interface PageWatcher {
  offline(): void
  back(): void
}

/** Calls until the result is called. Where there is no page, never. */
export function watchPage({ offline, back }: PageWatcher): () => void {
  if (typeof addEventListener !== 'function') return () => {}
  const { document } = globalThis
  const shown = () => {
    if (document.visibilityState === 'visible') back()
  }
  const listeners: readonly (readonly [target: EventTarget | undefined, event: string, listener: () => void])[] = [
    [globalThis as unknown as EventTarget, 'offline', offline],
    [globalThis as unknown as EventTarget, 'online', back],
    [globalThis as unknown as EventTarget, 'pageshow', back],
    [document, 'visibilitychange', shown],
    [document, 'resume', back],
  ]
  for (const [target, event, listener] of listeners) target?.addEventListener(event, listener)
  return () => {
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
