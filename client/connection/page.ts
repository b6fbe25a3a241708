/** Tells when a browser has lost its network, and when a page is back: from sleep, from behind others, from the cache. */

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
