/** What the tests of the replay demo share: a hub, and visitors who open the demo on a topic of their own. */

import { createTestHub, type TestHub } from '../../../server/testing.ts'
import { buildForBrowsers } from './built.ts'
import { closeBrowser, openContext, openPage } from './chromium.ts'
import { Demo } from './demo.ts'

/** What a page complains about when its network is gone. */
export const LOST_CONNECTIONS = /net::ERR_|WebSocket connection to/

export class DemoVisit {
  #hub: TestHub | undefined
  #topics = 0

  async begin(): Promise<void> {
    await buildForBrowsers()
    this.#hub = await createTestHub()
  }

  async end(): Promise<void> {
    await closeBrowser()
    await this.#hub?.close()
  }

  get hub(): TestHub {
    if (this.#hub === undefined) throw new Error('the visit has not begun')
    return this.#hub
  }

  topic(): string {
    return `demo-${++this.#topics}`
  }

  async open(expected?: RegExp): Promise<{ demo: Demo; topic: string }> {
    const demo = new Demo(await openPage(await openContext(), expected === undefined ? {} : { expected }))
    const topic = this.topic()
    await demo.open(this.hub.url, topic)
    return { demo, topic }
  }
}
