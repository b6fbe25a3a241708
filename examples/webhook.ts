/** Anything that speaks HTTP publishes and reads: no library, no socket. `npx tsx examples/webhook.ts`. */

const url = process.env.REPRISE_URL ?? 'http://127.0.0.1:3000'
const topic = `${url}/v1/topics/example.webhooks`

const published = await fetch(`${topic}/events`, {
  method: 'POST',
  headers: { 'content-type': 'application/json', 'idempotency-key': 'delivery-1' },
  body: JSON.stringify({ data: { invoice: 7 } }),
})
console.log(published.status, await published.text())

const page = await fetch(`${topic}/events?after=0&waitMs=1000`)
console.log(await page.text())
