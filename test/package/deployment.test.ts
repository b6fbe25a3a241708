/** What runs a hub or its tests somewhere else: the unit of systemd, the chart of Helm, the file of the hosted CI. */

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse, parseAllDocuments, stringify } from 'yaml'
import { ROOT } from '../../build/build.ts'
import { checkConfigFile } from '../../server/options/file.ts'
import { SECRET } from '../support/clients/tokens.ts'
import { run } from '../support/hub/process.ts'
import { diskFolder } from '../support/temp.ts'

const text = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const manifest = JSON.parse(text('package.json')) as { version: string; engines: { node: string } }
const isThere = (program: string) => spawnSync(program, ['version'], { stdio: 'ignore' }).error === undefined

describe('the hosted CI', () => {
  const ci = parse(text('.github/workflows/ci.yml'))
  const { test } = ci.jobs

  it('runs .ci/run on each Node and Redis that is supported', () => {
    expect(Object.keys(ci.on)).toEqual(['push', 'pull_request'])
    expect(test.strategy).toEqual({ 'fail-fast': false, matrix: { node: [20, 22, 24], redis: [7, 8] } })
    const [work, kept] = test.steps.slice(-2)
    expect(work.run).toBe('.ci/run')
    expect(kept).toMatchObject({ if: 'always()', with: { path: work.env.REPRISE_TEST_PICTURES } })
    expect(manifest.engines.node).toMatch(`>=${test.strategy.matrix.node[0]}.`)
  })

  it('may read the code and nothing else, and ends', () => {
    expect(ci.permissions).toEqual({ contents: 'read' })
    expect(Object.keys(ci.jobs)).toEqual(['audit', 'test'])
    for (const job of [ci.jobs.audit, test]) {
      expect(job.permissions).toBeUndefined()
      expect(job['timeout-minutes']).toBeLessThanOrEqual(60)
    }
    const cache = test.steps.find((step: { uses?: string }) => step.uses?.startsWith('actions/setup-node'))
    expect(cache.with).toEqual({ 'node-version': expect.stringMatching(/^\$\{\{ matrix\.node \}\}$/), cache: 'npm' })
  })
})

describe('the unit of systemd', () => {
  const unit = text('examples/reprise.service')

  it('gives a drain its time, and does not try wrong options again', () => {
    expect(unit).toMatch(/^TimeoutStopSec=25$/m)
    expect(unit).toMatch(/^RestartPreventExitStatus=2$/m)
    expect(unit).toMatch(/dist\/cli\/main\.js serve --config \S+ --data \/var\/lib\/reprise\/data$/m)
  })

  it.runIf(isThere('systemd-analyze'))('is one for systemd-analyze', async () => {
    const file = join(await diskFolder(), 'reprise.service')
    // The program is not installed here.
    await writeFile(file, unit.replace(/^ExecStart=\S+/m, `ExecStart=${process.execPath}`))
    const { code, stdout, stderr } = await run(['systemd-analyze', 'verify', '--man=no', file])
    expect(`${stdout}${stderr}`).not.toContain('reprise.service')
    expect(code).toBe(0)
  })
})

describe('the chart of Helm', () => {
  const chart = 'examples/helm/reprise'
  const values = parse(text(`${chart}/values.yaml`)) as Record<string, unknown>
  const names = readdirSync(join(ROOT, chart, 'templates'))
  const templates = names.map((name) => ({ name, template: text(`${chart}/templates/${name}`) }))

  it('is of this version, with a configuration that the hub accepts', async () => {
    expect(parse(text(`${chart}/Chart.yaml`))).toMatchObject({ apiVersion: 'v2', appVersion: manifest.version })
    const file = join(await diskFolder(), 'reprise.yaml')
    // The variable comes from the chart's secret.
    await writeFile(file, stringify(values.config).replace('env:REPRISE_JWT_SECRET', SECRET))
    expect(checkConfigFile(file, '.')).toEqual([])
  })

  it('uses values and parts that there are, in actions that are closed', () => {
    const parts = templates.flatMap(({ template }) =>
      [...template.matchAll(/define "([^"]+)"/g)].map(([, name]) => name),
    )
    for (const { name, template } of templates) {
      const actions = [...template.matchAll(/\{\{-?\s*(.*?)\s*-?\}\}/gs)].map(([, action = '']) => action)
      expect(actions.length, name).toBe(template.split('{{').length - 1)
      const opened = actions.filter((action) => /^(if|with|range|define)\b/.test(action)).length
      expect(actions.filter((action) => action === 'end').length, name).toBe(opened)
      for (const [, part] of template.matchAll(/include "([^"]+)"/g)) expect(parts, name).toContain(part)
      for (const [, path = ''] of template.matchAll(/\.Values\.([\w.]+)/g)) {
        const [value] = path
          .split('.')
          .reduce<unknown[]>(([at], key) => [(at as Record<string, unknown>)?.[key]], [values])
        expect(value, `${name}: ${path}`).toBeDefined()
      }
    }
  })

  it('is YAML around its actions, and asks the hub where it answers', () => {
    for (const { name, template } of templates.filter((one) => one.name.endsWith('.yaml'))) {
      const bare = template
        .replace(/^\s*\{\{-?\s*(?:if|else|end|with|fail|toYaml|\$).*\}\}\n/gm, '')
        .replace(/: \{\{- (?:include|toYaml).*nindent.*\}\}/g, ': x')
        .replace(/\{\{.*?\}\}/g, 'x')
      const [document] = parseAllDocuments(bare)
      expect((document as { errors: unknown[] }).errors, name).toEqual([])
    }
    const hub = templates.find(({ name }) => name === 'hub.yaml')?.template ?? ''
    expect(hub).toMatch(/livenessProbe:\n\s+httpGet: \{ path: \/healthz/)
    expect(hub).toMatch(/readinessProbe:\n\s+httpGet: \{ path: \/readyz/)
  })

  it.runIf(isThere('helm'))('is rendered by helm: one hub on a volume, several on a Redis', async () => {
    const render = async (...sets: string[]) => {
      const args = sets.flatMap((set) => ['--set', set])
      const { code, stdout, stderr } = await run(['helm', 'template', 'hub', join(ROOT, chart), ...args])
      expect(code, stderr).toBe(0)
      return parseAllDocuments(stdout).map((one) => one.toJS().kind as string)
    }
    expect(await render()).toEqual(['ConfigMap', 'Service', 'StatefulSet'])
    const several = await render('replicas=3', 'redis.url=redis://redis:6379', 'jwtSecret=x')
    expect(several.sort()).toEqual(['ConfigMap', 'Deployment', 'PodDisruptionBudget', 'Secret', 'Service'])
  })
})
