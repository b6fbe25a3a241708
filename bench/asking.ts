/** How a question is asked: the sides are opened, measured in turn, round after round, and compared round by round. */

import { Processes } from './processes.ts'
import type { Product } from './product.ts'
import {
  type Answer,
  type Asked,
  compare,
  type Finding,
  type Plan,
  type Question,
  type Scale,
  type Side,
} from './question.ts'
import { Rounds } from './series.ts'

export interface Asking {
  readonly scale: Scale
  readonly product: Product
  /** Another build: its hubs are measured beside those of `product`, and no peers. */
  readonly against?: Product
  readonly rounds?: number
  /** A folder for a CPU profile of every process. */
  readonly profileTo?: string
  /** A folder on the disk to measure. */
  readonly dataUnder?: string
  /** Told while it runs. */
  note(text: string): void
}

interface Opened extends Side {
  readonly name: string
}

/** What a build may lose to another before it counts as slower. */
const LEAST_OF_OTHER = 0.95
const LEAST_ROUNDS = 5

export async function ask(question: Question, asking: Asking): Promise<Answer> {
  const plan = question.plan(asking.scale)
  return asking.against === undefined ? askBesidePeers(plan, asking) : askBesideBuild(plan, asking, asking.against)
}

async function askBesidePeers(plan: Plan, asking: Asking): Promise<Answer> {
  await using processes = new Processes(asking.product, asking)
  const openings = Object.entries({ ...plan.hubs, ...plan.peers })
  const sides = await Promise.all(openings.map(async ([name, open]) => ({ ...(await open(processes)), name })))
  const rounds = Math.min(asking.rounds ?? plan.rounds, plan.mostRounds ?? Number.POSITIVE_INFINITY)
  const figures = await measure(plan, asking, rounds, () => sides)
  const findings = plan.findings.map(({ what, unit, subject, beside, most }): Finding => {
    const ours = figures.series(subject.of, subject.name)
    const comparisons = beside.map(({ of, name, target }) => compare(ours, figures.series(of, name), target))
    const bound = most === undefined ? {} : { most, met: ours.median <= most }
    return { what, unit, subject: ours, comparisons, ...bound }
  })
  return { settings: { ...plan.settings, rounds }, findings, notes: plan.notes() }
}

async function askBesideBuild(plan: Plan, asking: Asking, against: Product): Promise<Answer> {
  await using newer = new Processes(asking.product, asking)
  await using older = new Processes(against, asking)
  const sides = await Promise.all(
    Object.entries(plan.hubs).map(async ([name, open]) => {
      const [ours, theirs] = await Promise.all([open(newer), open(older)])
      return [
        { ...ours, name: `new ${name}` },
        { ...theirs, name: `old ${name}` },
      ] as const
    }),
  )
  const wanted = asking.rounds ?? (asking.scale === 'smoke' ? 1 : Math.max(LEAST_ROUNDS, plan.rounds))
  const rounds = Math.min(wanted, plan.mostRounds ?? Number.POSITIVE_INFINITY)
  // Who goes first has the colder machine: they take turns.
  const figures = await measure(plan, asking, rounds, (round) =>
    sides.flatMap(([ours, theirs]) => (round % 2 === 0 ? [ours, theirs] : [theirs, ours])),
  )
  const findings = figuresOfHubs(plan).map(({ what, unit, better, subject }): Finding => {
    const ours = figures.series(`new ${subject.of}`, `${subject.name}, new`)
    const theirs = figures.series(`old ${subject.of}`, `${subject.name}, old`)
    // Turned so that more is better.
    const [above, below] = better === 'more' ? [ours, theirs] : [theirs, ours]
    const { ratio, met } = compare(above, below, { of: 'ratio', least: LEAST_OF_OTHER })
    const { difference } = compare(ours, theirs)
    const comparison = { peer: theirs, ratio, difference, target: { of: 'ratio', least: LEAST_OF_OTHER } as const }
    return { what, unit, subject: ours, comparisons: [{ ...comparison, ...(met === undefined ? {} : { met }) }] }
  })
  return {
    settings: { ...plan.settings, rounds, old: against.description },
    findings,
    notes: ['the ratio tells how much better the new build is: where less is better, it is old / new', ...plan.notes()],
  }
}

async function measure(plan: Plan, { scale, note }: Asking, rounds: number, sidesOf: (round: number) => Opened[]) {
  const figures = new Rounds()
  for (let round = plan.warmUp && scale !== 'smoke' ? 0 : 1; round <= rounds; round++) {
    for (const side of sidesOf(round)) {
      const measured = await side.measure(round)
      if (round === 0) continue
      for (const [figure, value] of Object.entries(measured)) figures.add(`${side.name}.${figure}`, value)
    }
    note(round === 0 ? 'warm' : `round ${round} of ${rounds}`)
  }
  return figures
}

/** Each figure of a hub once, whether it is asked for or what another is measured beside. */
function figuresOfHubs(plan: Plan): Asked[] {
  const all = plan.findings.flatMap((asked) => [asked, ...asked.beside.map((subject) => ({ ...asked, subject }))])
  const first = new Map<string, Asked>()
  for (const asked of all) {
    const [side = ''] = asked.subject.of.split('.')
    if (side in plan.hubs && !first.has(asked.subject.of)) first.set(asked.subject.of, asked)
  }
  return [...first.values()]
}
