/** The dashboard and the alerts of examples/, asked of a real Prometheus that scrapes a real hub. */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../build/build.ts'
import { readText } from '../architecture/sources.ts'
import { joinQueues, settlement } from '../support/clients/jobs.ts'
import { scrape } from '../support/clients/scrape.ts'
import { join as joinTopic } from '../support/clients/wire.ts'
import { startHub } from '../support/hub/hub.ts'
import { run, startChild } from '../support/hub/process.ts'
import { freePort } from '../support/network/ports.ts'
import { tempFolder } from '../support/temp.ts'
import { has, pathOf } from '../support/tools.ts'
import { until } from '../support/until.ts'

const RULES = 'examples/prometheus/reprise.rules.yml'
const dashboard = JSON.parse(readText('examples/grafana/reprise.json')) as {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[]
}
const queries = dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr] as const))
const alerts = [...readText(RULES).matchAll(/^ +expr: (.*)$/gm)].map(([, expr = '']) => expr)

interface Answer<Data> {
  readonly status: string
  readonly data: Data
}

interface Found {
  readonly result: readonly { readonly metric: Record<string, string>; readonly value: readonly [number, string] }[]
}

interface Groups {
  readonly groups: readonly {
    readonly rules: readonly { readonly name: string; readonly health: string; readonly state: string }[]
  }[]
}

let hub: string
let prometheus: string

async function ask<Data>(path: string): Promise<Data> {
  const answer = (await (await fetch(`${prometheus}/api/v1/${path}`)).json()) as Answer<Data>
  expect(answer, path).toMatchObject({ status: 'success' })
  return answer.data
}

/** Scrapes twice a second; a hub makes one text a second. */
async function startPrometheus(target: string): Promise<string> {
  const folder = await tempFolder()
  const port = await freePort()
  const config = join(folder, 'prometheus.yml')
  await writeFile(
    config,
    `global: { scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms }
rule_files: ['${join(ROOT, RULES)}']
scrape_configs: [{ job_name: reprise, static_configs: [{ targets: ['${target}'] }] }]
`,
  )
  const args = [`--config.file=${config}`, `--storage.tsdb.path=${folder}`, `--web.listen-address=127.0.0.1:${port}`]
  const child = startChild([pathOf('prometheus'), ...args, '--log.level=warn'])
  const url = `http://127.0.0.1:${port}`
  const isReady = () =>
    fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    )
  await until(isReady, { what: 'Prometheus', deadlineMs: 20_000, seen: child.stderr })
  return url
}

/** Something of everything that is counted. */
async function use(url: string): Promise<void> {
  const topic = await joinTopic(url, 'orders', {})
  const { epoch } = await topic.value<{ epoch: string }>('publish', [{ data: 1 }, { data: 2 }, { data: 3 }])
  const late = await joinTopic(url, 'orders', { client: 'late', from: { epoch, offset: 0 } })
  await late.seen('gap')
  const queue = await joinQueues(url)
  await queue.send('mail', { data: 1 }, { data: 2 }, { data: 3 })
  await queue.consume('mail', { credit: 2 })
  const [one, two] = await queue.jobsSeen(2)
  if (one && two) await queue.settle('mail', settlement(one), settlement(two, 'dead'))
}

describe.runIf(has('prometheus'))('the examples for Prometheus', () => {
  beforeAll(async () => {
    hub = (await startHub({ topics: { orders: { retain: { events: 2 } } } })).url
    prometheus = await startPrometheus(new URL(hub).host)
    await use(hub)
    const scrapes = async () => {
      const { result } = await ask<Found>(
        `query?query=${encodeURIComponent('min(count_over_time(reprise_job_run_seconds_count[1m]))')}`,
      )
      return Number(result[0]?.value[1]) >= 2
    }
    await until(scrapes, { what: 'two scrapes', deadlineMs: 20_000 })
  })

  it.each(queries)('%s: %s', async (_title, expr) => {
    const query = `query?query=${encodeURIComponent(expr.replaceAll('$__rate_interval', '1m'))}`
    // What is now is unknown while the last scrape has failed, on a slow machine.
    await until(async () => (await ask<Found>(query)).result.length > 0, { what: expr, everyMs: 200 })
  })

  it('the alerts are evaluated, and what they compare is there', async () => {
    const rules = async () => (await ask<Groups>('rules')).groups.flatMap((group) => group.rules)
    const isEvaluated = async () => (await rules()).every(({ health }) => health !== 'unknown')
    await until(isEvaluated, { what: 'the alerts to be evaluated' })
    const found = await rules()
    expect(found.map(({ name, health }) => [name, health])).toEqual(found.map(({ name }) => [name, 'ok']))
    // Whether the gap is new to Prometheus depends on when it has looked.
    const firing = found.filter(({ name, state }) => state === 'firing' && name !== 'RepriseGaps')
    expect(firing).toEqual([])
    for (const expr of alerts) {
      // Without the threshold, and without what goes back in time.
      const compared = expr.replace(/ (==|>) [\d.]+/g, '').replaceAll(' offset 10m', '')
      expect((await ask<Found>(`query?query=${encodeURIComponent(compared)}`)).result, compared).not.toEqual([])
    }
  })
})

it('the examples for Prometheus name all metrics that there are', async () => {
  const { types } = await scrape((await startHub()).url)
  const named = [...queries.map(([, expr]) => expr), ...alerts].flatMap((expr) => expr.match(/reprise_\w+/g) ?? [])
  const known = named.map((name) => name.replace(/_(bucket|sum|count)$/, ''))
  expect(known.filter((name) => !types.has(name))).toEqual([])
  expect([...types.keys()].filter((name) => !known.includes(name))).toEqual([])
})

describe.runIf(has('promtool'))('promtool', () => {
  it('finds nothing wrong with the rules', async () => {
    const { code, stdout, stderr } = await run([pathOf('promtool'), 'check', 'rules', join(ROOT, RULES)])
    expect(code, stdout + stderr).toBe(0)
  })

  it('finds nothing wrong with the metrics of a hub', async () => {
    const { url } = await startHub()
    const { text } = await scrape(url)
    const { stdout, stderr } = await run([pathOf('promtool'), 'check', 'metrics'], { input: text })
    // What Node's own are called is up to their library.
    expect((stdout + stderr).split('\n').filter((line) => line.includes('reprise_'))).toEqual([])
  })
})
