/** A question that any worker may answer. Run with a hub: `npx tsx examples/requestReply.ts`. */

import { connect, dead, RepriseError } from 'reprise/client'

const url = process.env.REPRISE_URL ?? 'http://127.0.0.1:3000'

interface Question {
  readonly n: number
}

const answering = connect<{ queues: { 'example.roots': Question } }>(url)
const workers = answering.queue('example.roots').consume(
  // What is returned is the reply; `dead` answers that there is none.
  async ({ data: { n } }) => (n < 0 ? dead(`${n} has no root`) : Math.sqrt(n)),
  { concurrency: 4 },
)

const asking = connect<{ queues: { 'example.roots': Question } }>(url)
const roots = asking.queue('example.roots')

const answers = await Promise.all([4, 9, 16].map((n) => roots.request<number>({ n }, { timeoutMs: 5_000 })))
console.log('roots:', answers)

try {
  await roots.request({ n: -1 })
} catch (error) {
  if (!(error instanceof RepriseError)) throw error
  console.log(error.code, error.message)
}

await workers.close()
await Promise.all([answering.close(), asking.close()])
