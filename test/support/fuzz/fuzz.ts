/** Seeded garbage on every transport of a hub for a while, a well-behaved client beside it, and what became of the hub. */

import { memoryMb } from '../memory.ts'
import { seededRandom } from '../seed.ts'
import { startCanary } from './canary.ts'
import { LANES } from './lanes.ts'

export interface Fuzzed {
  readonly url: string
  readonly pid: number
  readonly process: { readonly exitCode: number | null }
  stderr(): string
}

export interface Report {
  readonly steps: Readonly<Record<string, number>>
  /** What must not have been, in sentences. */
  readonly faults: readonly string[]
  readonly memoryMb: { readonly before: number; readonly after: number }
  /** Of the client that behaves: from its call to its event. */
  readonly p99Ms: number
}

/** For the hub: with a heap that may grow, what is garbage looks like what is kept. */
export const SMALL_HEAP = { NODE_OPTIONS: '--max-old-space-size=192 --max-semi-space-size=2' }

/** Lanes of a kind that go on beside each other. */
const BESIDE = 6
/** What may be more than before, once it has settled. */
const MAX_GROWTH_MB = 50
/** A session of polling that nobody ends stays until its ping is missed: 45 s, with what waits in it. */
const SETTLE_MS = 60_000

export interface FuzzOptions {
  readonly seed: number
  readonly seconds: number
  /** When the hub and the client that behaves are there. */
  readonly onReady?: () => void
}

export async function fuzz(hub: Fuzzed, { seed, seconds, onReady }: FuzzOptions): Promise<Report> {
  const url = new URL(hub.url)
  const faults: string[] = []
  const steps: Record<string, number> = {}
  // What a hub takes for its first clients stays.
  const until = (ms: number, from: number) => Promise.all(lanes(url, seed + from, ms, steps, faults, hub))
  await until(Math.min(5_000, seconds * 250), 1_000)
  if (hub.process.exitCode !== null) {
    throw new Error(`the hub has ended with ${hub.process.exitCode}: ${hub.stderr().slice(-2_000)}`)
  }
  const before = memoryMb(hub.pid)
  const canary = await startCanary(hub.url)
  onReady?.()
  await until(seconds * 1_000, 0)
  const { sent, got, p99Ms } = await canary.stop()
  if (got < sent) faults.push(`of ${sent} events of the well-behaved client ${got} came`)
  if (hub.process.exitCode !== null) faults.push(`the hub has ended with ${hub.process.exitCode}`)
  let after = hub.process.exitCode === null ? memoryMb(hub.pid) : 0
  const deadline = performance.now() + SETTLE_MS
  while (after > before + MAX_GROWTH_MB && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 500))
    after = memoryMb(hub.pid)
  }
  if (after > before + MAX_GROWTH_MB) faults.push(`it had ${before.toFixed(0)} MB and has ${after.toFixed(0)} MB`)
  const told = hub
    .stderr()
    .split('\n')
    .filter((line) => /"level":"(error|fatal)"|uncaught|unhandled|^\s+at /i.test(line))
  faults.push(...told.slice(0, 20))
  return { steps, faults, memoryMb: { before, after }, p99Ms }
}

function lanes(
  url: URL,
  seed: number,
  ms: number,
  steps: Record<string, number>,
  faults: string[],
  { process: hub }: Fuzzed,
): Promise<void>[] {
  const end = performance.now() + ms
  return Object.entries(LANES).flatMap(([name, step], kind) =>
    Array.from({ length: BESIDE }, async (_, index) => {
      const random = seededRandom(seed * 97 + kind * BESIDE + index)
      while (performance.now() < end && hub.exitCode === null) {
        steps[name] = (steps[name] ?? 0) + 1
        await step(url, random).catch((error: unknown) => {
          if (faults.length < 50) faults.push(`${name}: ${error instanceof Error ? error.message : String(error)}`)
        })
      }
    }),
  )
}
