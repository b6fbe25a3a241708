/** What the core lets be known besides its answers: typed taps for the log now, for metrics and the console later. */

import type { ErrorCode } from '../../shared/errors.ts'

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
  | { readonly kind: 'leasesLapsed'; readonly queue: string; readonly client?: string; readonly jobs: number }
  | {
      readonly kind: 'gap'
      readonly topic: string
      readonly client?: string
      readonly from: number | null
      readonly to: number | null
      readonly count: number | null
      readonly reason: string
    }
  /** It does not take what it is sent: the hub reads from the log for it. */
  | { readonly kind: 'slow'; readonly topic: string; readonly client?: string }
  /** A caller was told that it cannot have what it asked for: each time, whatever of it is logged. */
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly what: string; readonly reason: string }

export interface Telemetry {
  /** A bug, or a failure that no caller was told of. */
  failed(what: string, cause: unknown): void
  /** Something a person who runs the hub should know. */
  noticed(what: string, details?: Readonly<Record<string, unknown>>): void
  happened(event: TelemetryEvent): void
}

export const SILENT: Telemetry = { failed: () => {}, noticed: () => {}, happened: () => {} }
