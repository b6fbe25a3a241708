/** A hub in this process, on the store that this run of the tests is about; gone when its test is. */

import type { ServeOptions } from '../../../server/options/hub.ts'
import { createTestHub, type TestHub } from '../../../server/testing.ts'
import { atEnd } from '../ending.ts'
import { startNginx } from '../network/nginx.ts'
import { tempFolder } from '../temp.ts'
import { nodesOfRun, storeOfRun } from './runStore.ts'

export async function startHub(options: ServeOptions = {}): Promise<TestHub> {
  const all = { ...storeOfRun(), ...options }
  const first = await createTestHub(all.store === undefined ? { ...all, store: await tempFolder() } : all)
  atEnd(() => first.close())
  if (nodesOfRun() === 1 || all.store === undefined || all.port !== undefined) return first
  const others = Array.from({ length: nodesOfRun() - 1 }, async () => {
    const hub = await createTestHub(all)
    atEnd(() => hub.close())
    return hub
  })
  return await behindNginx([first, ...(await Promise.all(others))])
}

/** One address for all of them. What the program publishes goes through each of them in turn. */
async function behindNginx(nodes: readonly [TestHub, ...TestHub[]]): Promise<TestHub> {
  const { url } = await startNginx(nodes.map((node) => node.url))
  const [first] = nodes
  let turn = 0
  const hub: TestHub['hub'] = {
    ...first.hub,
    topic: (name) => {
      turn += 1
      return (nodes[turn % nodes.length] ?? first).hub.topic(name)
    },
  }
  const close = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.close()))
  }
  return { url, hub, close, [Symbol.asyncDispose]: close }
}
