/** A hub for the tests of programs that use one: a free port, a temporary store, gone with `close`. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startServer } from './embedded.ts'
import type { Hub, HubTypes, ServeOptions } from './index.ts'

export type * from './index.ts'

export interface TestHub<S extends HubTypes = HubTypes> extends AsyncDisposable {
  readonly url: string
  readonly hub: Hub<S>
  close(): Promise<void>
}

/**
 * Resolves when it serves on a free port of 127.0.0.1, silently. Its store is a temporary folder that goes with `close`;
 * a `store` that is given stays. Rejects as `startServer` does.
 */
export async function createTestHub<S extends HubTypes = HubTypes>(options: ServeOptions = {}): Promise<TestHub<S>> {
  const folder = options.store === undefined ? await mkdtemp(join(tmpdir(), 'reprise-')) : undefined
  const server = await startServer<S>({
    port: 0,
    logLevel: 'silent',
    drainMs: 1_000,
    ...options,
    ...(folder === undefined ? {} : { store: join(folder, 'data') }),
  })
  const close = async () => {
    await server.close()
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  }
  return { url: server.url, hub: server.hub, close, [Symbol.asyncDispose]: close }
}
