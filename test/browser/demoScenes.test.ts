import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestHub } from '../../server/testing.ts'
import { allHere } from '../support/browser/demo.ts'
import { DemoVisit, LOST_CONNECTIONS } from '../support/browser/demoVisit.ts'
import { openScene } from '../support/browser/scenes.ts'
import { atEnd } from '../support/ending.ts'
import { spawnHub } from '../support/hub/process.ts'
import { has } from '../support/tools.ts'
import { until } from '../support/until.ts'

describe.runIf(has('chromium'))('the scenes of the demo', () => {
  const visit = new DemoVisit()

  beforeAll(() => visit.begin())
  afterAll(() => visit.end())

  it('tell a gap exactly, with the rest behind it in order, also after a reload in the middle', async () => {
    const { url } = visit.hub
    const scene = await openScene(url, visit.topic(), 'gap')
    await scene.reaches('away', 'live')
    await scene.step('Keep 50 events')
    await scene.reads('kept', '50 events are kept.')
    await scene.step('Go away')
    await scene.reaches('away', 'cut')
    await scene.step('Publish 120')
    await scene.says('away', 'Away: 120 missed so far')
    await scene.step('Come back')
    await scene.says('away', '70 events gone, as the gap says; the other 50 here, in order')
    expect([await scene.text('range'), await scene.text('count'), await scene.done()]).toEqual(['1–70', '70', '4 of 4'])
    expect(await scene.panel('away')).toMatchObject({ missed: 120, replayed: 50, lost: 70, twice: 0 })
    await scene.publish(1)
    await until(async () => (await scene.lines('away'))[0]?.offset === 121, { what: 'a live event behind them' })
    const lines = await scene.lines('away')
    const offsets = lines.flatMap(({ offset }) => offset ?? [])
    expect(offsets).toEqual(Array.from({ length: 51 }, (_, i) => 121 - i))
    expect(lines[51]?.text).toBe('gap: 1–70, 70 events are gone (trimmed)')

    await scene.leave('gap')

    // Whatever the hub has not been told of is told again to the page that is loaded anew.
    const topic = (await scene.page.locator('.publisher .name').innerText()).replace('topic ', '')
    await until(async () => (await cursorOf(url, topic)) === 121, { what: 'all to be acknowledged' })
    await scene.toggle()
    await scene.step('Publish 120')
    await scene.says('away', 'Away: 120 missed so far')
    await scene.page.reload()
    await scene.reads('range', '122–191')
    await scene.tells(/: 1–70$/)
    await scene.says('away', '50 events from before this page was loaded, in order')
  })

  it('say what they cannot do where the caller has no admin, and which token is missing', async () => {
    const grants = [{ actions: ['publish', 'subscribe', 'read'], names: ['demo*'] }] as const
    const open = await createTestHub({ auth: { anonymous: grants } })
    atEnd(() => open.close())
    const scene = await openScene(open.url, 'demo', 'gap')
    await scene.tells('To change it takes')
    expect(await scene.page.getByRole('button', { name: /Keep 50/ }).count()).toBe(0)
    await scene.reads('kept', '1000000 events are kept.')

    const closed = await createTestHub({ auth: { anonymous: [] } })
    atEnd(() => closed.close())
    const stranger = await openScene(closed.url, 'demo', 'replay', { expected: /status of 401/ })
    await stranger.page.getByText('This hub asks for a token.').waitFor()
    await stranger.reaches('plain', 'ended')
    await stranger.reaches('fickle', 'ended')

    const elsewhere = await openScene(visit.hub.url, 'orders', 'replay')
    await elsewhere.tells("There is no such lane: auth: topic: the names of the demo's topics begin with demo.")
  })

  it('leave a slow reader behind and live ones alone, on a phone and by keyboard', async () => {
    const scene = await openScene(visit.hub.url, visit.topic(), 'replay', { width: 400 })
    await scene.allLive()
    await scene.fits(400)
    // From the scene before, without a mouse.
    const link = scene.page.getByRole('link', { name: 'A slow reader', exact: true })
    await link.focus()
    await scene.page.keyboard.press('Enter')
    await scene.page.locator('[data-scene=slow] h1').waitFor()
    expect(await scene.page.evaluate(() => document.activeElement?.tagName)).toBe('H1')
    await scene.page.keyboard.press('Tab')
    await scene.page.keyboard.press('Enter')
    await scene.page.keyboard.press('Tab')
    await scene.page.keyboard.press('Enter')
    await scene.reaches('late', 'behind')
    const lag = async (which: string) => Number(await scene.text('lag', `[data-test=${which}]`))
    await until(async () => (await lag('late')) >= 200, { what: 'it to be behind', deadlineMs: 30_000 })
    expect((await scene.panel('quick')).state).toBe('live')
    expect(await lag('quick')).toBeLessThan(await lag('late'))
    await scene.fits(400)

    await scene.step('Make it quick again')
    await scene.setRate(0)
    const count = await scene.published()
    for (const which of ['late', 'quick'] as const) {
      expect(await scene.says(which, allHere(count))).toMatchObject({ lost: 0, twice: 0, missed: 0 })
    }
    await scene.reaches('late', 'live')
    expect(await scene.done()).toBe('4 of 4')
    await scene.leave('slow')
    // It is as slow as before when the page is loaded again.
    const handler = scene.page.getByRole('switch', { name: 'Take 40 ms for each event' })
    await handler.click()
    await scene.page.reload()
    expect(await handler.getAttribute('aria-checked')).toBe('true')
  })

  it('bring the job of a crashed worker to another one, and a poison job back from the dead letters', async () => {
    const { url } = visit.hub
    const scene = await openScene(url, visit.topic(), 'work', { width: 400 })
    for (const label of ['A', 'B', 'C'])
      await scene.page.locator(`[data-test=worker-${label}][data-state=working]`).waitFor()
    await scene.step('Send 12 jobs')
    await until(async () => /\d/.test(await scene.text('hand', '[data-test=worker-B]')), { what: 'B to have a job' })
    const held = (await scene.text('hand', '[data-test=worker-B]')).split(' ')[0]
    await scene.page.getByRole('button', { name: 'Crash B' }).click()
    const line = (label: string, text: string) =>
      scene.page.locator(`[data-test=worker-${label}] [data-job="${held}"]`).filter({ hasText: text })
    await line('B', 'crashed while it had this').waitFor()
    await scene.step('Send a poison job')
    await line('A', 'came back from B').or(line('C', 'came back from B')).waitFor({ timeout: 20_000 })
    await scene.reads('letters', '13 write to nobody: 10 attempts, the last one: no such address')
    await scene.reads('verdict', '12 jobs done, 1 dead, none lost, none twice')
    expect(await scene.done()).toBe('4 of 5')
    await scene.fits(400)

    // What the hub counts and what this tab has sent outlive the page.
    await scene.page.reload()
    await scene.reads('verdict', '12 jobs done, 1 dead, none lost, none twice')
    expect(await scene.done()).toBe('4 of 5')
    await scene.page.getByRole('switch', { name: 'The bug is fixed' }).click()
    await scene.page.getByRole('button', { name: 'Redrive', exact: true }).click()
    await scene.reads('verdict', '13 jobs done, none lost, none twice')
    const queue = await scene.page.locator('.publisher .name').innerText()
    const { counts } = (await (await fetch(`${url}/v1/queues/${queue}`)).json()) as { counts: object }
    expect(counts).toMatchObject({ sent: 13, ready: 0, delayed: 0, held: 0, done: 13, dead: 0 })
    expect(await scene.text('twice')).toBe('0')
    await scene.leave('work')
  })

  it('go on counting when the hub is killed and started again', async () => {
    const first = await spawnHub()
    const scene = await openScene(first.url, visit.topic(), 'restart', { expected: LOST_CONNECTIONS })
    await scene.reaches('survivor', 'live')
    await scene.tells('The hub is here.')
    await scene.step('Publish 5 a second')
    await until(async () => (await scene.number('published')) >= 3, { what: 'events to be published' })
    await first.kill()
    await scene.tells(/The hub has been away for \d+ s/)
    await until(async () => (await scene.number('unanswered')) >= 5, { what: 'events to wait', deadlineMs: 20_000 })
    expect(await scene.done()).toBe('2 of 3')

    const second = await spawnHub({ data: first.data, port: first.port })
    await scene.tells('The hub is here.')
    await scene.setRate(0)
    const count = await scene.published()
    expect(count).toBeGreaterThanOrEqual(8)
    expect(await scene.says('survivor', allHere(count))).toMatchObject({ lost: 0, twice: 0 })
    expect(await scene.done()).toBe('3 of 3')
    await scene.leave('restart')
    await scene.tells(/away for \d+ s, [1-9]\d* events waited for it/)
    // What it has seen of outages outlives the page.
    await scene.page.reload()
    await scene.reaches('survivor', 'live')
    await scene.tells(/away for \d+ s, [1-9]\d* events waited for it/)
    await scene.tells('The hub is here.')
    await second.kill('SIGTERM')
  })
})

async function cursorOf(url: string, topic: string): Promise<number | undefined> {
  const response = await fetch(`${url}/v1/topics/${topic}/cursors`)
  const { cursors } = (await response.json()) as { cursors: { position: { offset: number } }[] }
  return cursors[0]?.position.offset
}
