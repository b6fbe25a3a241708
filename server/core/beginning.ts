/** How a session begins: for the connection that the client has now, and for no earlier one. Topics and queues alike. */

import { hasCode } from '../../shared/errors.ts'

/** Whoever was heard of so short a time ago is there. */
const SURE_MS = 1_000

/** The connection that a session is begun for. */
export interface Asker {
  /** When it was heard of last, as `performance.now()` tells it. */
  readonly heardAt: number
  /** Throws where the session is no longer wanted. */
  check(): void
  /** Resolves when it answered, or is closed. Without it the connection is taken for alive. */
  readonly present: (() => Promise<void>) | undefined
}

/** The port's part of it. */
export interface Reachable {
  /** Resolves when the client has answered what it is asked now, or when its connection is closed. */
  present?(): Promise<void>
}

/**
 * Begun by who is gone, a session would end the one that the client has on another node by then. So a begin counts only
 * while no other session began since it was asked, as what was sent to the store may be done late. And where the store was
 * away meanwhile, or another session was faster, the connection is asked first: it may be dead without anybody knowing.
 */
export async function beginSession<T>(
  asker: Asker,
  since: () => Promise<number>,
  begin: (since: number) => Promise<T>,
): Promise<T> {
  for (let isSure = true; ; isSure = false) {
    // Waits while the store is away.
    const session = await since()
    asker.check()
    if (!isSure || performance.now() - asker.heardAt > SURE_MS) {
      await asker.present?.()
      asker.check()
    }
    try {
      return await begin(session)
    } catch (error) {
      if (!hasCode(error, 'conflict')) throw error
    }
  }
}
