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
const LEAST_ROUNDS = 6
const SESSIONS = 3

export async function ask(question: Question, asking: Asking): Promise<Answer> {
  const plan = question.plan(asking.scale)
  return asking.against === undefined ? askBesidePeers(plan, asking) : askBesideBuild(plan, asking, asking.against)
}

async function askBesidePeers(plan: Plan, asking: Asking): Promise<Answer> {
  await using processes = new Processes(asking.product, asking)
  const openings = Object.entries({ ...plan.hubs, ...plan.peers })
  const sides = await Promise.all(openings.map(async ([name, open]) => ({ ...(await open(processes)), name })))
  const rounds = Math.min(asking.rounds ?? plan.rounds, plan.mostRounds ?? Number.POSITIVE_INFINITY)
  const figures = new Rounds()
  await measure(plan, asking, figures, rounds, () => sides)
  const findings = plan.findings.map(({ what, unit, subject, beside, most }): Finding => {
    const ours = figures.series(subject.of, subject.name)
    const comparisons = beside.map(({ of, name, target }) => compare(ours, figures.series(of, name), target))
    const bound = most === undefined ? {} : { most, met: ours.median <= most }
    return { what, unit, subject: ours, comparisons, ...bound }
  })
  return { settings: { ...plan.settings, rounds }, findings, notes: plan.notes() }
}

async function askBesideBuild(plan: Plan, asking: Asking, against: Product): Promise<Answer> {
  const figures = new Rounds()
  const sessions = asking.scale === 'smoke' ? 1 : SESSIONS
  const wanted = asking.rounds ?? (asking.scale === 'smoke' ? 1 : Math.max(LEAST_ROUNDS, plan.rounds))
  const rounds = Math.min(Math.ceil(wanted / sessions), plan.mostRounds ?? Number.POSITIVE_INFINITY)
  for (let session = 1; session <= sessions; session++) {
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
    asking.note(`session ${session} of ${sessions}`)
    // Who goes first has the colder machine: they take turns.
    await measure(plan, asking, figures, rounds, (round) =>
      sides.flatMap(([ours, theirs]) => ((round + session) % 2 === 0 ? [ours, theirs] : [theirs, ours])),
    )
  }
  return {
    settings: { ...plan.settings, sessions, rounds: rounds * sessions, old: against.description },
    findings: figuresOfHubs(plan).map((asked) => besideOld(asked, figures)),
    notes: [
      'the ratio tells how much better the new build is: where less is better, it is old / new',
      'each session starts all processes anew, as two of the same build differ by chance, too',
      ...plan.notes(),
    ],
  }
}

function besideOld({ what, unit, better, subject }: Asked, figures: Rounds): Finding {
  const ours = figures.series(`new ${subject.of}`, `${subject.name}, new`)
  const theirs = figures.series(`old ${subject.of}`, `${subject.name}, old`)
  const target = { of: 'ratio', least: LEAST_OF_OTHER } as const
  // Turned so that more is better.
  const [above, below] = better === 'more' ? [ours, theirs] : [theirs, ours]
  return {
    what,
    unit,
    subject: ours,
    comparisons: [{ ...compare(above, below, target), difference: compare(ours, theirs).difference, peer: theirs }],
  }
}

async function measure(
  plan: Plan,
  { scale, note }: Asking,
  figures: Rounds,
  rounds: number,
  sidesOf: (round: number) => readonly Opened[],
): Promise<void> {
  for (let round = plan.warmUp && scale !== 'smoke' ? 0 : 1; round <= rounds; round++) {
    for (const side of sidesOf(round)) {
      const measured = await side.measure(round)
      if (round === 0) continue
      for (const [figure, value] of Object.entries(measured)) figures.add(`${side.name}.${figure}`, value)
    }
    note(round === 0 ? 'warm' : `round ${round} of ${rounds}`)
  }
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
