/** What a question is: what is measured in each round, and what is made of it. How it is asked is in asking.ts, how answers are shown in report.ts. */

import type { Processes } from './processes.ts'
import { type Series, seriesOf } from './series.ts'

/** `smoke` only shows that a question still works; its figures say nothing. */
export type Scale = 'full' | 'quick' | 'smoke'

export interface Question {
  readonly name: string
  readonly about: string
  /** Programs of the machine without which it cannot be asked. */
  readonly needs?: readonly string[]
  plan(scale: Scale): Plan
}

/** What is open for the whole question and measured once a round. Figures are numbers by their names. */
export interface Side {
  measure(round: number): Promise<Readonly<Record<string, number>>>
}

export type Opening = (processes: Processes) => Promise<Side>

export interface Plan {
  /** Numbers that the figures depend on. */
  readonly settings: Readonly<Record<string, string | number>>
  readonly rounds: number
  /** Where more are impossible. */
  readonly mostRounds?: number
  /** Whether a round that does not count goes first. */
  readonly warmUp: boolean
  /** By name. What starts hubs: when two builds are compared, each of these is opened for both. */
  readonly hubs: Readonly<Record<string, Opening>>
  /** Measured in the same rounds, behind the hubs; left out when two builds are compared. */
  readonly peers: Readonly<Record<string, Opening>>
  readonly findings: readonly Asked[]
  /** What has to be known to read the figures; called at the end. */
  notes(): readonly string[]
}

/** A figure of a side, `side.figure`, and how it is called. */
export interface Figure {
  readonly of: string
  readonly name: string
}

/** A figure of the hub, what it is measured beside, and what it has to reach. */
export interface Asked {
  readonly what: string
  readonly unit: string
  readonly better: 'more' | 'less'
  readonly subject: Figure
  readonly beside: readonly (Figure & { readonly target?: Target })[]
  /** A bound of the figure itself. */
  readonly most?: number
}

/** What the subject has to reach beside a peer. */
export type Target =
  | { readonly of: 'ratio'; readonly least: number }
  | { readonly of: 'ratio'; readonly most: number }
  /** `subject - peer`, in the finding's unit. */
  | { readonly of: 'difference'; readonly most: number }

export interface Comparison {
  readonly peer: Series
  /** Subject / peer, round by round. */
  readonly ratio: Series
  /** Subject - peer, round by round. */
  readonly difference: Series
  readonly target?: Target
  /** Whether the median of the rounds reaches the target. */
  readonly met?: boolean
}

/** One figure of the hub, and the same of its peers in the same rounds. */
export interface Finding {
  readonly what: string
  readonly unit: string
  readonly subject: Series
  readonly comparisons: readonly Comparison[]
  readonly most?: number
  readonly met?: boolean
}

export interface Answer {
  readonly settings: Readonly<Record<string, string | number>>
  readonly findings: readonly Finding[]
  readonly notes: readonly string[]
}

/** Compares two series round by round: what disturbs a round disturbs both of its halves. */
export function compare(subject: Series, peer: Series, target?: Target): Comparison {
  const pairs = subject.rounds.map((value, i) => [value, peer.rounds[i] ?? Number.NaN] as const)
  const ratio = seriesOf(
    'ratio',
    pairs.map(([ours, theirs]) => ours / theirs),
  )
  const difference = seriesOf(
    'difference',
    pairs.map(([ours, theirs]) => ours - theirs),
  )
  if (target === undefined) return { peer, ratio, difference }
  return { peer, ratio, difference, target, met: isMet(target, ratio.median, difference.median) }
}

function isMet(target: Target, ratio: number, difference: number): boolean {
  if ('least' in target) return ratio >= target.least
  return (target.of === 'ratio' ? ratio : difference) <= target.most
}
