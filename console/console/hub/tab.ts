/** What a page of this tab knows before it asks the hub: the token that is kept for the tab, and where Socket.IO is. */

const KEY = 'reprise-console'

/** As the hub has written it into the page. */
export const socketPath = document.querySelector<HTMLMetaElement>('meta[name="socket-path"]')?.content ?? '/socket.io'

export function keptToken(): string | undefined {
  try {
    return sessionStorage.getItem(KEY) ?? undefined
  } catch {
    return undefined
  }
}

export function keepToken(token: string): void {
  try {
    sessionStorage.setItem(KEY, token)
  } catch {
    // A browser that keeps nothing asks again after a reload.
  }
}

export function forgetToken(): void {
  try {
    sessionStorage.removeItem(KEY)
  } catch {
    // A browser that keeps nothing has nothing to forget.
  }
}
