import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { HeldJob } from '../../client/index.ts'
import { createTestHub, type TestHub } from '../../server/testing.ts'
import { buildForBrowsers } from '../support/browser/built.ts'
import { closeBrowser } from '../support/browser/chromium.ts'
import { unnamed, visitConsole } from '../support/browser/consoleVisit.ts'
import { asking } from '../support/clients/ask.ts'
import { has } from '../support/tools.ts'
import { until } from '../support/until.ts'

describe.runIf(has('chromium'))('one queue in the console', () => {
  let hub: TestHub
  beforeAll(async () => {
    await buildForBrowsers()
    hub = await createTestHub({ queues: { '*': { maxAttempts: 1 } } })
  })
  afterAll(async () => {
    await closeBrowser()
    await hub.close()
  })

  it('explains a waiting job in words, and pauses, purges and drops', async () => {
    // The page may ask once more for the queue that it has just dropped.
    const visit = await visitConsole(hub.url, { expected: /404/ })
    const { page } = visit
    const emails = hub.hub.queue('emails')
    await emails.sendAll([
      { data: { to: 'ann' }, id: 'first', key: 'ann' },
      { data: { to: 'ann' }, id: 'second', key: 'ann' },
    ])
    await visit.at('#/queues/emails')
    await page.getByLabel('Id or key of a job').fill('second')
    await page.keyboard.press('Enter')
    const why = () => page.getByRole('list', { name: 'Why it is where it is' }).innerText()
    await until(async () => (await why()).includes('job first is before it in the line of key ann'), { what: 'why' })
    expect(await why()).toContain('nobody consumes emails')
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.getByRole('button', { name: 'Pause it' }).press('Enter')
    // Keys go on where they were.
    await page.locator('button:focus', { hasText: 'Resume' }).waitFor()
    await until(async () => (await why()).includes('emails is paused'), { what: 'the pause' })
    await page.getByRole('link', { name: 'look at first' }).click()
    await page.getByRole('heading', { name: 'Job first' }).waitFor()
    await page.goBack()
    await page.getByRole('heading', { name: 'Job second' }).waitFor()
    await page.goBack()
    await page.getByText('Jobs that are').waitFor()
    await emails.send({ to: 'eve' }, { id: 'third', key: 'eve' })
    await page.getByLabel('Id or key of a job').fill('ann')
    await page.keyboard.press('Enter')
    await page.getByText('Jobs with the key ann').waitFor()
    const listed = () => page.locator('tbody a').allInnerTexts()
    await until(async () => (await listed()).join() === 'first,second', { what: 'the jobs of the key', seen: listed })
    await page.getByRole('button', { name: 'All jobs' }).click()
    await until(async () => (await listed()).length === 3, { what: 'all jobs', seen: listed })
    await emails.send({ to: 'bob' }, { id: 'later', delayMs: 3_600_000 })
    await hub.hub.queue('mailings').send({}, { id: 'all', children: [{ data: {}, queue: 'emails', key: 'child' }] })
    await visit.at('#/queues/mailings?state=waiting')
    await page.getByText('waits for 1 of 1 child').waitFor()
    await page.getByText('waiting for children').waitFor()
    await emails.send({}, { id: '..' })
    await visit.at('#/queues/emails?job=..')
    await page.getByText('no request can have “.” or “..” in its path').waitFor()
    await page.getByRole('button', { name: 'Back to the list' }).click()
    await page.getByLabel('Id or key of a job').fill('child')
    await page.keyboard.press('Enter')
    await page.getByText('Jobs with the key child').waitFor()
    await page.locator('tbody a').click()
    await page.getByRole('link', { name: 'all', exact: true }).click()
    await page.getByText('1 of its 1 children have not ended').waitFor()
    await page.getByText('1, 1 have not ended').waitFor()
    await visit.at('#/queues/emails?job=later')
    await page.getByRole('button', { name: 'Run now' }).click()
    await page.getByRole('button', { name: 'Make it ready' }).click()
    await page.getByText('it was made ready by hand').waitFor()
    expect(await page.getByRole('button', { name: 'Run now' }).count()).toBe(0)
    await page.getByRole('button', { name: 'Back to the list' }).click()
    await page.getByRole('button', { name: 'Purge' }).click()
    await page.getByText('Removes the 6 jobs').waitFor()
    await page.getByRole('button', { name: 'Remove them' }).click()
    await page.getByText('No job is ready.').waitFor()
    expect(await unnamed(page)).toEqual([])
    await page.getByRole('button', { name: 'Drop the queue' }).click()
    await page.getByRole('button', { name: 'Drop it' }).click()
    await page.getByRole('heading', { name: 'Queues' }).waitFor()
    await page.getByRole('link', { name: 'mailings' }).waitFor()
    await page.getByRole('link', { name: 'emails', exact: true }).waitFor({ state: 'detached' })
  })

  it('names who consumes, with what each holds', async () => {
    const films = hub.hub.queue('films')
    const work = ({ signal, progress, log }: HeldJob) => {
      void progress({ scene: 7, of: 40 })
      void log('the seventh scene is cut')
      return new Promise((resolve) => signal.addEventListener('abort', resolve))
    }
    const worker = films.consume(work, { client: 'cutter', concurrency: 3 })
    await films.send({ n: 1 }, { id: 'western' })
    const visit = await visitConsole(hub.url)
    const { page } = visit
    await visit.at('#/queues/films?job=western')
    const told = page.getByRole('region', { name: 'How far it is' })
    await told.getByText('the seventh scene is cut').waitFor()
    expect(await told.locator('pre').innerText()).toContain('"scene": 7')
    await visit.at('#/queues/films?view=consumers')
    const row = page.getByRole('row').filter({ hasText: 'cutter' })
    await until(async () => (await row.innerText()).includes('1 of '), { what: 'what it holds' })
    await page.getByRole('tab', { name: 'Rates' }).click()
    await page.getByText('when somebody began to look').waitFor()
    await films.sendAll(Array.from({ length: 20 }, (_, n) => ({ data: { n } })))
    const sent = page.locator('dl.line').last().locator('dd').first()
    await until(async () => Number(await sent.innerText()) > 0, { what: 'a rate', seen: () => sent.innerText() })
    await page.getByRole('tab', { name: 'Consumers' }).click()
    await worker.close({ drainMs: 0 })
    await page.getByText('0 consumers on this node').waitFor()
  })

  it('lists the schedules with their next five times, runs one now and removes one', async () => {
    const plans = hub.hub.queue('plans')
    await plans.schedule('daily', { cron: '0 9 * * *', timeZone: 'Europe/Berlin', draft: { data: 1 } })
    await plans.schedule('once', { everyMs: 100, limit: 1, draft: { data: 2 } })
    const visit = await visitConsole(hub.url)
    const { page } = visit
    await visit.at('#/queues/plans?view=schedules')
    const row = (name: string) => page.getByRole('row').filter({ hasText: name })
    await until(async () => (await row('once').innerText()).includes('it is over'), { what: 'the end of one' })
    expect(await row('daily').innerText()).toContain('0 9 * * * Europe/Berlin')
    await row('daily').locator('summary').click()
    expect(await page.getByRole('list', { name: 'Next times of daily' }).getByRole('listitem').count()).toBe(5)
    await row('daily').getByRole('button', { name: 'Run now' }).click()
    await page.getByRole('button', { name: 'Add a job' }).click()
    await page.getByText('added job').waitFor()
    expect((await asking(hub.url)('GET', '/v1/queues/plans')).body).toMatchObject({ counts: { ready: 2 } })
    await row('daily').getByRole('button', { name: 'Remove' }).click()
    await page.getByRole('button', { name: 'Remove it' }).click()
    await until(async () => (await row('daily').count()) === 0, { what: 'it to be gone' })
    expect((await plans.schedules()).map(({ name }) => name)).toEqual(['once'])
    expect(await unnamed(page)).toEqual([])
  })

  it('sends the dead letters with a text in their error again, and one of them edited', async () => {
    const reports = hub.hub.queue('reports')
    await reports.sendAll(Array.from({ length: 6 }, (_, i) => ({ data: { n: i } })))
    const worker = reports.consume(
      (job) => {
        throw new Error((job.data as { n: number }).n % 2 === 0 ? 'timeout of the printer' : 'no paper')
      },
      { client: 'printer' },
    )
    worker.onError(() => {})
    const counts = async () =>
      (await asking(hub.url)<{ counts: Record<string, number> }>('GET', '/v1/queues/reports')).body.counts
    await until(async () => (await counts()).dead === 6, { what: 'six dead letters' })
    await worker.close()
    const visit = await visitConsole(hub.url)
    const { page } = visit
    await visit.at('#/queues/reports?view=dead')
    await page.getByLabel('error has').fill('timeout')
    const listed = () => page.locator('tbody tr').allInnerTexts()
    await until(async () => (await listed()).length === 3, { what: 'those that fit', seen: listed })
    await page.getByRole('button', { name: 'How many fit?' }).click()
    await page.getByText('3 dead letters would come back').waitFor()
    // A count is of the filter that it was made for.
    await page.getByLabel('error has').fill('nothing has this')
    await page.getByText('No dead letter fits.').waitFor()
    expect(await page.getByText('would come back').count()).toBe(0)
    await page.getByLabel('error has').fill('timeout')
    await page.getByLabel('jobs a second').fill('1')
    const dialog = page.getByRole('dialog')
    let goOn = (): void => {}
    const stopped = new Promise<void>((resolve) => {
      goOn = resolve
    })
    await page.route('**/redrive', async (call) => {
      if (call.request().postDataJSON().dryRun !== true) await stopped
      await call.continue()
    })
    await page.getByRole('button', { name: 'redrive' }).click()
    await dialog.getByText('Brings 3 dead letters of reports back').waitFor()
    await dialog.getByRole('button', { name: 'Bring them back' }).click()
    await dialog.getByText('0 of 3 jobs brought back so far').waitFor()
    await dialog.getByText('Brings 3 dead letters of reports back').waitFor()
    await dialog.getByRole('button', { name: 'Stop' }).click()
    goOn()
    // A call looks at two, of which one fits.
    await page.getByText('1 job brought back, then stopped').waitFor()
    expect(await counts()).toMatchObject({ dead: 5, ready: 1 })
    await page.getByLabel('jobs a second').fill('')
    await page.getByRole('button', { name: 'redrive' }).click()
    await dialog.getByText('Brings 2 dead letters of reports back').waitFor()
    await dialog.getByRole('button', { name: 'Bring them back' }).click()
    await page.getByText('2 jobs brought back', { exact: true }).waitFor()
    expect(await counts()).toMatchObject({ dead: 3, ready: 3 })

    await page.getByLabel('error has').fill('')
    await until(async () => (await listed()).join().includes('no paper'), { what: 'those that stayed', seen: listed })
    await page.locator('tbody a').first().click()
    await page.getByText('it went to the dead letters at printer').waitFor()
    await page.getByLabel('Data').fill('{ "n": 100 }')
    await page.getByRole('button', { name: 'Send again as edited' }).click()
    await page.getByRole('button', { name: 'Send it' }).click()
    await until(async () => (await counts()).dead === 2, { what: 'the edited one to be sent' })
    expect(await counts()).toMatchObject({ ready: 4 })

    await visit.at('#/queues/reports?view=settings')
    await page.getByLabel('Stored for exactly reports').fill('{ "deadMs": 1 }')
    await page.getByRole('button', { name: 'What would it change?' }).click()
    await page.getByText('2 dead letters would go.').waitFor()
  })
})
