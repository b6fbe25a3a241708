/** The certificates of a server: what of TLS it speaks, and that it takes new ones from files that change. */

import { type FSWatcher, watch } from 'node:fs'
import type { Server } from 'node:https'
import { dirname } from 'node:path'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { messageOf, RepriseError } from '../shared/errors.ts'

export interface Certificates {
  readonly cert: string
  readonly key: string
  /** Authorities of clients. */
  readonly ca?: string
  readonly files: readonly string[]
}

/** Several files change one after the other. */
const SETTLE_MS = 500
/** Not every file system tells of changes. */
const LOOK_MS = 60_000

/** Throws `bad_request` where they cannot be used, or not together. */
export function contextOf({ cert, key, ca }: Certificates): SecureContextOptions {
  const context: SecureContextOptions = { cert, key, minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }) }
  try {
    createSecureContext(context)
    return context
  } catch (cause) {
    throw new RepriseError('bad_request', `tls: the certificate and its key cannot be used: ${messageOf(cause)}`, {
      cause,
    })
  }
}

/** Connections that are there stay as they are. Where new files are wrong, the old ones stay, and `warn` is told once. */
export function followFiles(
  server: Server,
  first: Certificates,
  read: () => Certificates,
  warn: (message: string, cause: unknown) => void,
): () => void {
  let current = first
  let told: string | undefined
  let settling: NodeJS.Timeout | undefined

  const look = () => {
    try {
      const next = read()
      if (!isSame(current, next)) server.setSecureContext(contextOf(next))
      current = next
      told = undefined
    } catch (error) {
      if (told === messageOf(error)) return
      told = messageOf(error)
      warn('new certificates cannot be used; the old ones stay', error)
    }
  }
  const touched = () => {
    clearTimeout(settling)
    settling = setTimeout(look, SETTLE_MS).unref()
  }
  // Files are often replaced as a whole, or by a link in their folder.
  const watchers = [...new Set(first.files.map(dirname))].flatMap((folder) => watching(folder, touched))
  const looking = setInterval(look, LOOK_MS).unref()
  return () => {
    clearTimeout(settling)
    clearInterval(looking)
    for (const watcher of watchers) watcher.close()
  }
}

function watching(folder: string, touched: () => void): readonly FSWatcher[] {
  try {
    // What it cannot tell is looked for now and then.
    return [watch(folder, { persistent: false }, touched).on('error', () => {})]
  } catch {
    return []
  }
}

function isSame(a: Certificates, b: Certificates): boolean {
  return a.cert === b.cert && a.key === b.key && a.ca === b.ca
}
