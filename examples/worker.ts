/** Work that is spread over workers, fails, and comes again. Run with a hub: `npx tsx examples/worker.ts`. */

import { connect, dead, retry } from 'reprise/client'

interface Email {
  readonly to: string
}

const url = process.env.REPRISE_URL ?? 'http://127.0.0.1:3000'
const hub = connect<{ queues: { 'example.emails': Email } }>(url)
const emails = hub.queue('example.emails')

let left = 3
let finish = () => {}
const finished = new Promise<void>((resolve) => {
  finish = resolve
})

const worker = emails.consume(
  async ({ data, attempts, signal }) => {
    // Hand the signal to whatever takes long: it fires when another may have the job.
    signal.throwIfAborted()
    if (data.to === 'nobody') console.log('no such address')
    else if (data.to === 'busy' && attempts === 0) return retry(50, 'the mailbox is busy')
    else console.log(`sent to ${data.to}, attempt ${attempts + 1}`)
    if (--left === 0) finish()
    return data.to === 'nobody' ? dead('no such address') : undefined
  },
  { concurrency: 2 },
)

for (const to of ['ann', 'busy', 'nobody']) await emails.send({ to })
await finished
await worker.close()
const letter = await new Promise((resolve) => hub.queue('example.emails/dead').consume(({ data }) => resolve(data)))
console.log('dead letter:', letter)
await hub.close()
