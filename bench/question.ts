/** What a question is: how it is asked, and the form of its answer. How answers are shown is in report.ts. */

import type { Processes } from './processes.ts'
import { type Series, seriesOf } from './series.ts'

/** `smoke` only shows that a question still works; its figures say nothing. */
export type Scale = 'full' | 'quick' | 'smoke'

export interface Context {
  readonly scale: Scale
  /** Starts what is measured and what measures; everything ends with the question. */
  readonly processes: Processes
  /** Told while it runs. */
  note(text: string): void
}

/** What the subject has to reach beside a peer, or by itself. */
export type Target =
  | { readonly of: 'ratio'; readonly least: number }
  | { readonly of: 'ratio'; readonly most: number }
  /** `subject - peer`, in the finding's unit. */
  | { readonly of: 'difference'; readonly most: number }

export interface Comparison {
  readonly peer: Series
  /** Of the medians, subject / peer. */
  readonly ratio: number
  readonly difference: number
  readonly target?: Target
  readonly met?: boolean
}

/** One figure of the hub, and the same of its peers in the same rounds. */
export interface Finding {
  readonly what: string
  readonly unit: string
  readonly subject: Series
  readonly comparisons: readonly Comparison[]
  /** A bound of the figure itself. */
  readonly most?: number
  readonly met?: boolean
}

export interface Answer {
  /** Numbers that the figures depend on. */
  readonly settings: Readonly<Record<string, string | number>>
  readonly findings: readonly Finding[]
  /** What limits the figures, or has to be known to read them. */
  readonly notes: readonly string[]
}

export interface Question {
  readonly name: string
  readonly about: string
  ask(context: Context): Promise<Answer>
}

/** Rounds of the same figures, taken in turn: A B C, A B C, … */
export class Rounds {
  readonly #values = new Map<string, number[]>()

  add(name: string, value: number): void {
    const values = this.#values.get(name) ?? []
    values.push(value)
    this.#values.set(name, values)
  }

  series(name: string): Series {
    return seriesOf(name, this.#values.get(name) ?? [])
  }
}

export function compare(subject: Series, peer: Series, target?: Target): Comparison {
  const ratio = subject.median / peer.median
  const difference = subject.median - peer.median
  if (target === undefined) return { peer, ratio, difference }
  return { peer, ratio, difference, target, met: isMet(target, ratio, difference) }
}

function isMet(target: Target, ratio: number, difference: number): boolean {
  if ('least' in target) return ratio >= target.least
  return (target.of === 'ratio' ? ratio : difference) <= target.most
}
