/** What the core lets be known besides its answers: typed taps for log and metrics. Core knows nobody who listens. */

import type { ErrorCode } from '../../shared/errors.ts'
import type { GapReason } from '../../shared/protocol.ts'

/** Something that a person who runs the hub may act on. */
export type TelemetryEvent =
  | { readonly kind: 'started'; readonly url?: string; readonly store: string; readonly version: string }
  | { readonly kind: 'stopping' }
  | { readonly kind: 'stopped'; readonly afterMs: number }
  /** Nothing goes through the store; `back` says how long that was. */
  | { readonly kind: 'storeAway'; readonly reason: string }
  | { readonly kind: 'storeBack'; readonly afterMs: number }
  /** What is stored is put under the present key of encryption; about so many payloads are left to look at. */
  | { readonly kind: 'rotating'; readonly key: string; readonly left: number }
  | { readonly kind: 'rotated'; readonly key: string; readonly payloads: number; readonly afterMs: number }
  /** A newer session of the client ended this one. */
  | { readonly kind: 'takeover'; readonly client: string; readonly topic?: string; readonly queue?: string }
  | {
      readonly kind: 'consumerLost'
      readonly queue: string
      readonly client: string
      readonly jobs: number
      readonly reason: 'connection lost' | 'lease lapsed'
    }
  /** Jobs went to the dead letters, or lapsed where nobody here could be told: so many of one queue and cause. */
  | { readonly kind: 'deadLetters'; readonly queue: string; readonly jobs: number; readonly reason: string }
  /** A queue has paused itself: of so many jobs that ended within a minute, `dead` went to the dead letters. */
  | { readonly kind: 'breakerTripped'; readonly queue: string; readonly dead: number; readonly ended: number }
  /** What happens to the jobs of a queue cannot be moved to its topic; `lifeMoved`: it can again. */
  | { readonly kind: 'lifeStuck'; readonly queue: string; readonly reason: string }
  | { readonly kind: 'lifeMoved'; readonly queue: string }
  | { readonly kind: 'leasesLapsed'; readonly queue: string; readonly client?: string; readonly jobs: number }
  | {
      readonly kind: 'gap'
      readonly topic: string
      readonly client?: string
      readonly from: number | null
      readonly to: number | null
      readonly count: number | null
      readonly reason: GapReason
    }
  /** A sender gave more ids than are remembered of one: that many would not be known again, though their time is not over. */
  | {
      readonly kind: 'idsForgotten'
      readonly topic?: string
      readonly queue?: string
      readonly subject: string
      readonly ids: number
    }
  /** It does not take what it is sent: the hub reads from the log for it. */
  | { readonly kind: 'slow'; readonly topic: string; readonly client?: string }
  /** Somebody who manages the hub has changed something: `what` is the operation's name in the OpenAPI document. */
  | {
      readonly kind: 'acted'
      readonly what: string
      readonly subject: string
      readonly topic?: string
      readonly queue?: string
      readonly client?: string
      /** Of a job, a schedule, or a revocation. */
      readonly item?: string
    }
  /** A caller was told that it cannot have what it asked for: each time, whatever of it is logged. */
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly what: string; readonly reason: string }

/** How whoever had a lease ended it. */
export type Ending = 'done' | 'retry' | 'release' | 'dead'

export interface DeliveredEvent {
  readonly offset: number
  readonly at: number
  readonly body: { readonly json: string }
}

/** A draft, with its children where it is of a job. */
export interface Traced {
  readonly headers?: Readonly<Record<string, string>>
  readonly children?: readonly Traced[]
}

/** Steps of traces that go from program to program. Nothing is done where nobody traces. */
export interface Spans {
  /** Does `work` as a step, with drafts whose headers name the step where they name none. */
  around<D extends Traced, T>(
    what: 'publish' | 'send',
    name: string,
    drafts: readonly D[],
    work: (drafts: readonly D[]) => Promise<T>,
  ): Promise<T>
  delivered(topic: string, events: readonly DeliveredEvent[], kind: 'live' | 'replay', subscriptions: number): void
}

/** What happens too often for an event each: told in plain calls, which cost next to nothing. Times are milliseconds. */
export interface Meter {
  /** So many events are durable, without duplicates; `ms` after the call that brought them. */
  published(topic: string, events: number, ms: number): void
  /** These went out to so many live subscriptions. */
  delivered(topic: string, events: readonly DeliveredEvent[], subscriptions: number): void
  /** These, which had been missed, went to one subscription. */
  replayed(topic: string, events: readonly DeliveredEvent[]): void
  /** A subscription that had missed something is live. */
  caughtUp(topic: string): void
  /** So many jobs are durable, without duplicates. */
  sent(queue: string, jobs: number): void
  /** A schedule was due: so many jobs came of it, and so many due times had none. */
  fired(queue: string, jobs: number, missed: number): void
  /** These jobs go to a consumer. */
  started(queue: string, jobs: readonly { readonly dueAt: number; readonly deliveries: number }[]): void
  /** A lease was ended by whoever had it. */
  settled(queue: string, as: Ending): void
  /** The same of a consumer here, with the time since the delivery where this node made that. */
  ran(queue: string, as: Ending, ms: number | undefined): void
}

/** What is told one by one. */
export interface Reports {
  /** A bug, or a failure that no caller was told of. */
  failed(what: string, cause: unknown): void
  /** Something a person who runs the hub should know. */
  noticed(what: string, details?: Readonly<Record<string, unknown>>): void
  happened(event: TelemetryEvent): void
  /** Not there where nobody wants details: they are not made then. */
  readonly detail?: (detail: Detail) => void
}

/** What only whoever looks for a fault wants to see. */
export type Detail =
  | { readonly kind: 'entered'; readonly namespace: string; readonly subject: string; readonly client?: string }
  | { readonly kind: 'left'; readonly namespace: string; readonly client?: string; readonly reason: string }
  /** `code`: what it was refused with. */
  | {
      readonly kind: 'call'
      readonly call: string
      readonly namespace?: string
      readonly ms: number
      readonly code?: ErrorCode
    }

export interface Telemetry extends Reports {
  readonly meter: Meter
  readonly spans: Spans
}
