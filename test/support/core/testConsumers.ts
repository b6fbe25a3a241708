/** The consumers of one node over a store whose answers the test gives. */

import { Consumers } from '../../../server/core/queues/delivery/consumers.ts'
import type { HubQueueSettings } from '../../../server/core/queues/settings.ts'
import type { TelemetryEvent } from '../../../server/core/telemetry.ts'
import type { HeldJob } from '../../../server/store/contract/store.ts'
import { DEFAULT_LIMITS } from '../../../shared/protocol.ts'
import { FakeQueues, turn } from './fakeQueues.ts'
import { jobClient, type TestJobClient } from './jobOutlet.ts'
import { SILENT } from './silent.ts'

export class TestConsumers {
  readonly fake = new FakeQueues()
  readonly happened: TelemetryEvent[] = []
  readonly draining = new AbortController()
  settingsChanged: () => void = () => {}
  readonly core = new Consumers({
    store: this.fake.store,
    settings: {
      forQueue: () => this.fake.settings,
      onChange: (listener: () => void) => {
        this.settingsChanged = listener
        return () => {}
      },
    } as unknown as HubQueueSettings,
    limits: DEFAULT_LIMITS,
    clock: {
      get now() {
        return Date.now()
      },
    },
    telemetry: { ...SILENT, happened: (event) => void this.happened.push(event) },
    draining: this.draining.signal,
  })

  /** A client that consumes from the queue, and is given these jobs at once. */
  async add(name: string, credit: number, jobs: readonly HeldJob[] = [], queue = 'q'): Promise<TestJobClient> {
    const client = jobClient(name)
    await this.core.consume(client, queue, { credit })
    await this.giveOut(name, jobs)
    return client
  }

  /** Answers claims until none is made: the first ones of this client bring the jobs. */
  async giveOut(name = '', jobs: readonly HeldJob[] = []): Promise<void> {
    await turn()
    for (let given = false; this.fake.claims.length > 0; given = true) {
      for (const { claim, answer } of [...this.fake.claims]) {
        await answer({ jobs: !given && claim.consumer.client === name ? jobs : [] })
      }
    }
  }

  /** Who is asked for, with how many jobs at most, when there is work again. */
  async asked(): Promise<[string, number][]> {
    await this.fake.tell({ kind: 'work', at: 0 })
    const claims = this.fake.claims.map(({ claim }): [string, number] => [claim.consumer.client, claim.max])
    await this.giveOut()
    return claims
  }

  async close(): Promise<void> {
    this.fake.isSlow = false
    await this.core.close()
  }
}
