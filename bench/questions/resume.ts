/** Whether coming back costs more when much has happened elsewhere meanwhile. */

import type { Plan, Question, Scale } from '../question.ts'
import { type Missing, openAway, openPlainAway } from '../scenes/away.ts'

const SIZES = {
  full: { clients: 15, few: 1_000, many: 1_000_000 },
  quick: { clients: 10, few: 1_000, many: 100_000 },
  smoke: { clients: 2, few: 100, many: 1_000 },
}
const MISSED = 10
const OTHERS = 20

export const resume: Question = {
  name: 'resume',
  about: 'time to the tenth missed event after few and many events of other topics',
  plan,
}

function plan(scale: Scale): Plan {
  const { clients, few, many } = SIZES[scale]
  const missing = (foreign: number): Missing => ({ clients, missed: MISSED, others: OTHERS, foreign })
  const unit = 'ms'
  return {
    settings: { clients, missed: MISSED, 'events of others': `${few} and ${many}, in ${OTHERS} topics` },
    rounds: clients,
    mostRounds: clients,
    warmUp: false,
    hubs: {
      few: async (processes) => openAway(processes, (await processes.startHub()).url, missing(few)),
      many: async (processes) => openAway(processes, (await processes.startHub()).url, missing(many)),
    },
    peers: {
      plainFew: (processes) => openPlainAway(processes, missing(few)),
      plainMany: (processes) => openPlainAway(processes, missing(many)),
    },
    findings: [
      {
        what: 'back to the tenth missed event',
        unit,
        better: 'less',
        subject: { of: 'many.back', name: `hub, ${many} events of others` },
        beside: [
          { of: 'few.back', name: `hub, ${few} events of others`, target: { of: 'ratio', most: 1.5 } },
          { of: 'plainMany.back', name: `Socket.IO recovery, ${many} events of others` },
        ],
      },
      {
        what: 'the same of the peer',
        unit,
        better: 'less',
        subject: { of: 'plainMany.back', name: `Socket.IO recovery, ${many} events of others` },
        beside: [{ of: 'plainFew.back', name: `Socket.IO recovery, ${few} events of others` }],
      },
    ],
    notes: () => [
      'all clients are cut off at once; half of the missed events come before those of others, half after; clients come back one by one',
      'from opening the transport to the handler; the hub also begins a session in its store, on disk, before it answers',
      'the peer keeps its events in the memory of one process (in-memory adapter); the hub keeps them on disk',
    ],
  }
}
