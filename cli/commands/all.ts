/** Every command, in the order of the help. */

import type { Command } from 'commander'
import { addConfig } from './config.ts'
import { addCursors } from './cursors.ts'
import { addDoctor } from './doctor.ts'
import { addDrop } from './drop.ts'
import { addExplain } from './explain.ts'
import { addForget } from './forget.ts'
import { addJobs } from './jobs.ts'
import { addKey } from './key.ts'
import { addPause, addResume } from './pause.ts'
import { addPub } from './pub.ts'
import { addPurge } from './purge.ts'
import { addQueues } from './queues.ts'
import { addRedrive } from './redrive.ts'
import { addRemove } from './remove.ts'
import { addRevoke } from './revoke.ts'
import { addRun } from './run.ts'
import { addSchedules } from './schedules.ts'
import { addSeek } from './seek.ts'
import { addSend } from './send.ts'
import { addServe } from './serve.ts'
import { addSettings } from './settings.ts'
import { addSub } from './sub.ts'
import { addTail } from './tail.ts'
import { addToken } from './token.ts'
import { addTopics } from './topics.ts'
import { addWork } from './work.ts'

const GROUPS = [
  ['Hub:', [addServe, addConfig, addDoctor, addSettings]],
  ['Access:', [addKey, addToken, addRevoke]],
  ['Topics:', [addPub, addSub, addTail, addTopics, addDrop, addCursors, addSeek, addForget]],
  [
    'Queues:',
    [
      addSend,
      addWork,
      addQueues,
      addJobs,
      addExplain,
      addRun,
      addRemove,
      addRedrive,
      addPause,
      addResume,
      addPurge,
      addSchedules,
    ],
  ],
] as const

export function addAll(root: Command): void {
  for (const [heading, commands] of GROUPS) {
    root.commandsGroup(heading)
    for (const add of commands) add(root)
  }
}
