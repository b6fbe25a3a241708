/** All that can be asked. */

import type { Question } from '../question.ts'
import { consoles } from './consoles.ts'
import { fanout } from './fanout.ts'
import { growth } from './growth.ts'
import { guards } from './guards.ts'
import { jitter } from './jitter.ts'
import { latency } from './latency.ts'
import { limit } from './limit.ts'
import { memory } from './memory.ts'
import { nats } from './nats.ts'
import { publish } from './publish.ts'
import { queue } from './queue.ts'
import { redisFanout } from './redisFanout.ts'
import { redisNodes } from './redisNodes.ts'
import { redisPublish } from './redisPublish.ts'
import { redisResume } from './redisResume.ts'
import { replay } from './replay.ts'
import { resume } from './resume.ts'
import { slow } from './slow.ts'
import { start } from './start.ts'
import { storm } from './storm.ts'

export const QUESTIONS: readonly Question[] = [
  fanout,
  publish,
  replay,
  resume,
  latency,
  memory,
  start,
  guards,
  consoles,
  limit,
  storm,
  jitter,
  slow,
  growth,
  redisPublish,
  redisFanout,
  redisResume,
  redisNodes,
  queue,
  nats,
]
