/** `npm run fuzz -- --seconds 600 --seed 7`: a hub of its own, ten minutes by default; what it found is printed. */

import { setPriority } from 'node:os'
import { parseArgs } from 'node:util'
import { endFile } from '../ending.ts'
import { spawnHub } from '../hub/process.ts'
import { fuzz, SMALL_HEAP } from './fuzz.ts'

/** Who attacks has processors of its own: here it takes those that the hub and the client that behaves leave. */
const LOW = 15

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '600' }, seed: { type: 'string' } },
})
const seconds = Number(values.seconds)
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 24))
if (!(seconds > 0) || !Number.isSafeInteger(seed)) throw new Error('--seconds and --seed take numbers')

console.info(`fuzz: seed ${seed}, ${seconds} s (again: npm run fuzz -- --seed ${seed} --seconds ${seconds})`)
try {
  const hub = await spawnHub({ env: SMALL_HEAP })
  const { steps, faults, memoryMb, p99Ms } = await fuzz(hub, { seed, seconds, onReady: () => setPriority(LOW) })
  console.info(`steps: ${JSON.stringify(steps)}`)
  console.info(`memory: ${memoryMb.before.toFixed(0)} → ${memoryMb.after.toFixed(0)} MB`)
  console.info(`a well-behaved client beside it: p99 ${p99Ms.toFixed(0)} ms`)
  for (const fault of faults) console.error(`found: ${fault}`)
  console.info(faults.length === 0 ? 'nothing found' : `${faults.length} found, seed ${seed}`)
  process.exitCode = faults.length === 0 ? 0 : 1
} finally {
  await endFile()
}
