/** All that can be asked. */

import { fanout } from './fanout.ts'
import { latency } from './latency.ts'
import { memory } from './memory.ts'
import { publish } from './publish.ts'
import type { Question } from './question.ts'
import { replay } from './replay.ts'
import { resume } from './resume.ts'

export const QUESTIONS: readonly Question[] = [fanout, publish, replay, resume, latency, memory]
