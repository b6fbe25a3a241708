/** What compose.yaml and docs/nodes.md say of several nodes is there, fits together, and is taken by the programs it names. */

import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { runCli } from '../support/hub/process.ts'
import { startRedis } from '../support/redis/redis.ts'
import { has } from '../support/tools.ts'
import { readBlocks } from './snippets.ts'
import { exists, readText } from './sources.ts'

interface Service {
  readonly build?: string
  readonly image: string
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly volumes?: readonly string[]
  readonly ports?: readonly string[]
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly healthcheck?: { readonly test: readonly string[] }
  readonly stop_grace_period?: string
}

const compose = parse(readText('compose.yaml'), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, unknown>>
}
const services = Object.entries(compose.services)
const hubs = services.filter(([, { build }]) => build !== undefined)
const nginx = readText('examples/nginx.conf')

function serviceOf(name: string): Service {
  const service = compose.services[name]
  if (service === undefined) throw new Error(`compose.yaml has no service ${name}`)
  return service
}

describe('compose.yaml', () => {
  it('builds hubs from the Dockerfile here, and mounts files that are here', () => {
    expect(hubs.map(([name]) => name)).toEqual(['hub1', 'hub2', 'hub3'])
    for (const [, { build }] of hubs) expect(exists(`${build}/Dockerfile`)).toBe(true)
    const sources = services.flatMap(([, { volumes = [] }]) => volumes.map((volume) => volume.split(':')[0] ?? ''))
    for (const source of sources) {
      expect(source.startsWith('./') ? exists(source) : source in compose.volumes, source).toBe(true)
    }
  })

  it('waits for services that it has, which say when they are healthy', () => {
    const waited = services.flatMap(([, { depends_on = {} }]) => Object.keys(depends_on))
    expect(waited).not.toEqual([])
    for (const name of waited) expect(serviceOf(name).healthcheck, name).toBeDefined()
  })

  it('gives hubs options that they take, and time to drain', async () => {
    const distinct = new Map(hubs.map(([name, hub]) => [JSON.stringify(hub), [name, hub] as const]))
    for (const [name, { command = [], environment = {}, stop_grace_period = '' }] of distinct.values()) {
      const [serve, ...flags] = command
      expect(serve).toBe('serve')
      const { code, stdout, stderr } = await runCli(['config', 'show', ...flags, '--json'], { env: environment })
      expect(code, `${name}: ${stderr}`).toBe(0)
      const lines = stdout.trim().split('\n')
      const shown = lines.map((line) => JSON.parse(line) as { option: string; value: unknown })
      const options = Object.fromEntries(shown.map(({ option, value }) => [option, value]))
      expect(options).toMatchObject({ store: 'redis://redis:6379', port: 3000 })
      expect(Number.parseInt(stop_grace_period, 10) * 1_000).toBeGreaterThan(2 * Number(options.drainMs))
    }
  })

  it.runIf(has('redis-server', 'redis-cli'))('gives Redis options that it takes, and that lose nothing', async () => {
    const [program, ...words] = serviceOf('redis').command ?? []
    expect(program).toBe('redis-server')
    const options = words.flatMap((word, i) => (i % 2 === 0 ? [[word.replace('--', ''), words[i + 1] ?? '']] : []))
    const redis = await startRedis(Object.fromEntries(options))
    expect(await redis.cli('config', 'get', 'appendfsync')).toBe('appendfsync\nalways')
    expect(await redis.cli('config', 'get', 'appendonly')).toBe('appendonly\nyes')
    expect(await redis.cli('config', 'get', 'maxmemory-policy')).toBe('maxmemory-policy\nnoeviction')
  })

  it('has nginx lead to every hub at its port', () => {
    const addresses = [...nginx.matchAll(/^ *server (\S+) /gm)].map((match) => match[1])
    const expected = hubs.map(([name]) => `${name}:3000`)
    expect(addresses).toEqual([...expected, ...expected])
    const [port = ''] = serviceOf('nginx').ports ?? []
    expect(nginx).toContain(`listen ${port.split(':').at(-1)};`)
    expect(readText('docs/nodes.md')).toContain(`port ${port.split(':').at(-2)}`)
  })

  it('is for this machine alone, as nothing asks who is calling', () => {
    const published = services.flatMap(([, { ports = [] }]) => ports)
    for (const port of published) expect(port).toMatch(/^127\.0\.0\.1:/)
  })
})

describe('docs/nodes.md', () => {
  it('shows the configuration of nginx that the tests run', () => {
    const shown = readBlocks(readText('docs/nodes.md')).filter(({ language }) => language === 'nginx')
    expect(shown.map(({ text }) => text)).toEqual([nginx])
  })

  it('names services of compose.yaml only', () => {
    const commands = readText('docs/nodes.md').match(/^docker compose .*$/gm) ?? []
    const named = commands.flatMap((command) => command.match(/\b(hub\d|nginx|redis)\b/g) ?? [])
    expect(named).not.toEqual([])
    for (const name of named) expect(compose.services).toHaveProperty(name)
  })
})
