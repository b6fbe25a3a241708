/** What happened at a hub, as the console hears of it. */

/** What can happen that somebody may ask for later. */
export const HAPPENING_KINDS = [
  'gap',
  'consumerLost',
  'leasesLapsed',
  'deadLetters',
  'breakerTripped',
  'lifeStuck',
  'lifeMoved',
  'slow',
  'takeover',
  'refused',
  'idsForgotten',
  'acted',
  'started',
  'stopping',
  'stopped',
  'storeAway',
  'storeBack',
  'rotating',
  'rotated',
] as const
export type HappeningKind = (typeof HAPPENING_KINDS)[number]

export interface Happening {
  /** Dense, from 1. */
  readonly number: number
  readonly kind: HappeningKind
  readonly level: 'info' | 'warn' | 'error'
  /** As the log has it. */
  readonly text: string
  /** The last time, this node's clock. */
  readonly at: number
  readonly since: number
  readonly times: number
  /** What the log says of it, such as `topic`, `queue`, `client`, `reason`. */
  readonly details: Readonly<Record<string, unknown>>
}

export interface ActivityQuery {
  /** Only later ones. */
  readonly after?: number
  /** 200 by default, and at most. */
  readonly limit?: number
  /** Only of these kinds; of all by default. */
  readonly kinds?: readonly HappeningKind[]
}
