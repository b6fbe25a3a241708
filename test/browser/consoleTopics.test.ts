import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestHub, type TestHub } from '../../server/testing.ts'
import { buildForBrowsers } from '../support/browser/built.ts'
import { closeBrowser } from '../support/browser/chromium.ts'
import { type Console, unnamed, visitConsole } from '../support/browser/consoleVisit.ts'
import { asking } from '../support/clients/ask.ts'
import { SECRET, tokenOf } from '../support/clients/tokens.ts'
import { join } from '../support/clients/wire.ts'
import { atEnd } from '../support/ending.ts'
import { has } from '../support/tools.ts'
import { until } from '../support/until.ts'

describe.runIf(has('chromium'))('one topic in the console', () => {
  let hub: TestHub
  let console: Console
  beforeAll(async () => {
    await buildForBrowsers()
    hub = await createTestHub()
  })
  afterAll(async () => {
    await closeBrowser()
    await hub.close()
  })

  const open = async (place: string, expected?: RegExp) => {
    console = await visitConsole(hub.url, expected === undefined ? {} : { expected })
    await console.at(place)
    return console.page
  }
  const offsets = () => console.page.locator('.events .offset').allInnerTexts()
  const shows = (...wanted: number[]) =>
    until(async () => (await offsets()).join() === wanted.join(), { what: `events ${wanted}`, seen: offsets })

  it('follows what fits a filter, stands still when it is paused, and goes to any place of the log', async () => {
    const topic = hub.hub.topic('followed')
    const kinds = (...all: string[]) => topic.publishAll(all.map((kind) => ({ data: { kind }, key: kind })))
    await kinds('paid', 'sent', 'paid', 'sent')
    // A look at it between its end and its new beginning finds nothing.
    const page = await open('#/topics/followed', /404/)
    await shows(4, 3, 2, 1)
    await page.getByLabel('data has').fill('PAID')
    await shows(3, 1)
    await kinds('sent', 'paid')
    await shows(6, 3, 1)
    await page.getByRole('button', { name: 'Pause' }).click()
    await kinds('paid')
    await page.getByText('Paused: what you see stays.').waitFor()
    expect(await offsets()).toEqual(['6', '3', '1'])
    await page.getByRole('button', { name: 'Go on' }).click()
    await shows(7, 6, 3, 1)

    await page.getByLabel('data has').fill('')
    await page.getByLabel('Offset to jump to').fill('5')
    await page.keyboard.press('Enter')
    await shows(5, 6, 7)
    await page.getByRole('slider', { name: 'Where in the log' }).press('Home')
    await shows(1, 2, 3, 4, 5, 6, 7)
    expect(page.url()).toContain('from=1')
    await page.getByRole('button', { name: 'Back to live' }).click()
    await shows(7, 6, 5, 4, 3, 2, 1)
    // What is dropped gives its offsets to others.
    await asking(hub.url)('DELETE', '/v1/topics/followed')
    await page.getByText('No event is kept.').waitFor()
    await kinds('anew')
    await shows(1)
    expect(await unnamed(page)).toEqual([])
  })

  it('publishes, and shows the reply and how to do the same elsewhere', async () => {
    const page = await open('#/topics/written?view=publish', /404/)
    await page.getByLabel('Data, as JSON').fill("{ 'wrong' }")
    await page.getByRole('button', { name: 'Publish', exact: true }).click()
    await page.getByText('The data is no JSON').waitFor()
    await page.getByLabel('Data, as JSON').fill('{ "id": 7 }')
    await page.getByLabel('key', { exact: true }).fill('ann')
    await page.getByLabel('headers (name: value, …)').fill('region: eu')
    await page.getByRole('button', { name: 'Publish', exact: true }).click()
    await until(async () => (await page.getByLabel('The reply').innerText()).includes('"durability": "fsync"'), {
      what: 'the reply',
    })
    await page.getByText('The same as curl').click()
    expect(await page.getByText('reprise pub written').innerText()).toBe(
      `reprise pub written --key 'ann' --header 'region=eu' --url ${hub.url} '{"id":7}'`,
    )
    expect(await page.getByText(/^curl/).innerText()).toContain(`curl ${hub.url}/v1/topics/written/events -H`)
    // A shell that reads escapes in what it prints changes nothing, and a minus is no option.
    await page.getByLabel('Data, as JSON').fill('-5')
    expect(await page.getByText('reprise pub written').innerText()).toContain(`--url ${hub.url} -- '-5'`)
    expect((await hub.hub.topic('written').read()).events).toMatchObject([
      { data: { id: 7 }, key: 'ann', headers: { region: 'eu' } },
    ])
  })

  it('names who lacks an event, and says what an act changes before it does', async () => {
    const publish = (count: number) =>
      hub.hub.topic('kept').publishAll(Array.from({ length: count }, (_, i) => ({ data: i })))
    const { epoch } = await publish(3)
    for (const [client, offset] of [
      ['ahead', 3],
      ['late', 1],
    ] as const) {
      const wire = await join(hub.url, 'kept', { client, from: 'start' })
      await wire.value('ack', { epoch, offset })
      wire.cut()
    }
    // The page may ask once more for the topic that it has just dropped.
    const page = await open('#/topics/kept?view=cursors', /404/)
    await page.getByLabel('who lacks offset').fill('2')
    await until(async () => (await page.locator('tbody tr').count()) === 1, { what: 'one client' })
    expect(await page.locator('tbody td').first().innerText()).toContain('late')
    await page.getByRole('button', { name: 'Forget' }).click()
    await page.getByText('does not get the 2 events').waitFor()
    await page.getByRole('button', { name: 'Forget it' }).click()
    await page.getByText('Every client has seen 2.').waitFor()

    await page.getByRole('tab', { name: 'Settings' }).click()
    await page.getByRole('textbox').fill('{ "retain": { "events": 1 } }')
    await page.getByRole('button', { name: 'What would it change?' }).click()
    await page.getByText('About 2 kept events would go.').waitFor()
    await page.getByRole('button', { name: 'Drop the topic' }).click()
    await page.getByText('with 3 events').waitFor()
    await page.getByRole('button', { name: 'Drop it' }).click()
    await page.getByRole('heading', { name: 'Topics' }).waitFor()
    expect((await asking(hub.url)('GET', '/v1/topics/kept')).status).toBe(404)
    await page.getByRole('link', { name: 'Activity' }).click()
    await page.getByText('anonymous dropped the topic').first().waitFor()
  })

  it('tells what was lost apart from everything else that happened', async () => {
    const brief = hub.hub.topic('brief')
    await asking(hub.url)('PUT', '/v1/topics/brief', { retain: { events: 1 } })
    const wire = await join(hub.url, 'brief', { client: 'night', from: 'start' })
    wire.cut()
    await brief.publishAll([1, 2, 3].map((data) => ({ data })))
    await (await join(hub.url, 'brief', { client: 'night' })).seen('gap')
    const page = await open('#/overview')
    await page.getByRole('link', { name: 'gaps told' }).click()
    await page.getByRole('heading', { name: 'Activity' }).waitFor()
    await page.getByText('night was told that 2 events (1 to 2) are gone: retention had removed them').waitFor()
    expect(page.url()).toContain('#/activity?about=lost')
    expect(await page.locator('.happenings li').count()).toBe(1)
    await page.getByRole('button', { name: 'everything' }).click()
    await page.getByText('anonymous changed the settings of the topic').first().waitFor()
    await page.getByRole('button', { name: 'slow and replaced clients' }).click()
    await page.getByText('No client was too slow').waitFor()
  })

  it('is to look at only for whoever may not change it', async () => {
    const own = await createTestHub({ auth: { jwt: { secret: SECRET } } })
    atEnd(() => own.close())
    await own.hub.topic('seen').publish(1)
    const { page } = await visitConsole(own.url, { expected: /401/ })
    await page.goto(`${own.url}/#/topics/seen`)
    await page
      .getByLabel('Token or key')
      .fill(await tokenOf('ann', { grants: [{ actions: ['read'], names: ['seen'] }] }))
    await page.getByRole('button', { name: 'Enter' }).click()
    await page.getByText('You may look').waitFor()
    // It sees what comes, too, though it may not subscribe.
    await own.hub.topic('seen').publish('what came later')
    await page.getByText('what came later').first().waitFor()
    expect(await page.getByRole('button', { name: 'Drop the topic' }).isDisabled()).toBe(true)
    await page.getByRole('tab', { name: 'Publish' }).click()
    expect(await page.getByRole('button', { name: 'Publish', exact: true }).isDisabled()).toBe(true)
    await page.getByText('The same as curl').click()
    await page.getByText('-H "authorization: Bearer $REPRISE_TOKEN"').waitFor()
  })
})
