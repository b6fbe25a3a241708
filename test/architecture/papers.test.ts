import { describe, expect, it } from 'vitest'
import { LIMIT_DEFAULTS } from '../../server/options/limits.ts'
import { WORDS } from '../../server/telemetry/words.ts'
import { ERRORS } from '../../shared/errorTable.ts'
import { isName, MAX_NAME_LENGTH, nameRule } from '../../shared/names.ts'
import { readBytes, readDurationMs } from '../../shared/units.ts'
import { exists, packageOf, readSources, readText } from './sources.ts'

interface Manifest {
  readonly scripts: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly overrides: Readonly<Record<string, string>>
}

const manifest = JSON.parse(readText('package.json')) as Manifest

/** The rows of a paper's table of errors: the one whose first column is headed `error code` or `code`. */
function errorTable(path: string): Record<string, unknown> | undefined {
  const lines = readText(path).split('\n')
  const head = lines.findIndex((line) => /^\| *(error )?code *\|/i.test(line))
  if (head < 0) return undefined
  const rows = lines.slice(head + 2)
  const end = rows.findIndex((line) => !line.startsWith('|'))
  return Object.fromEntries(
    rows.slice(0, end < 0 ? undefined : end).map((row) => {
      const [code = '', http, retryable, when] = row
        .slice(1, row.lastIndexOf('|'))
        .split('|')
        .map((cell) => cell.trim())
      return [code.replaceAll('`', ''), { http: Number(http), retryable: retryable === 'yes', when }]
    }),
  )
}

describe('errors', () => {
  it('stand in docs/protocol.md as they are in shared/errorTable.ts', () => {
    expect(errorTable('docs/protocol.md')).toEqual(ERRORS)
  })

  it('stand in README.md, if they do, as they are in shared/errorTable.ts', () => {
    expect(errorTable('README.md') ?? ERRORS).toEqual(ERRORS)
  })
})

describe('lines of the log', () => {
  it('stand in docs/configuration.md with their level', () => {
    const rows = readText('docs/configuration.md').split('\n')
    for (const [level, text] of Object.values(WORDS)) {
      const found = rows.some(
        (row) => row.startsWith('|') && row.includes(`\`${text}\``) && row.includes(`| ${level} |`),
      )
      expect(found, `${text}, ${level}`).toBe(true)
    }
  })
})

describe('names', () => {
  it('are what docs/protocol.md says', () => {
    expect(readText('docs/protocol.md')).toContain(
      `1 to ${MAX_NAME_LENGTH} of \`A–Z a–z 0–9 . _ : -\`, the first a letter or digit`,
    )
    for (const name of ['a', '7', 'orders.eu', 'a_b:c-d', 'x'.repeat(128)]) expect(isName(name), name).toBe(true)
    for (const name of ['', '.a', '-a', ':a', '_a', 'a/b', 'a b', 'ä', 'a\n', '\na', 'x'.repeat(129), 1, null]) {
      expect(isName(name), String(name)).toBe(false)
    }
    expect(nameRule('topic', '.a')).toContain('topic ".a" is not a name')
  })
})

describe('limits', () => {
  /** Names and defaults of a paper's table that is headed with `limit`. */
  const limitsOf = (path: string) => {
    const lines = readText(path).split('\n')
    const head = lines.findIndex((line) => /^\| limit \|/.test(line))
    const column = (lines[head] ?? '').split('|').findIndex((cell) => cell.trim() === 'default')
    const rows = lines.slice(head + 2)
    return rows
      .slice(
        0,
        rows.findIndex((line) => !line.startsWith('|')),
      )
      .map((row) => {
        const cells = row.split('|').map((cell) => cell.replaceAll('`', '').trim())
        return [cells[1], cells[column]?.replace(', or unlimited', '')]
      })
  }

  it.each(['docs/security.md', 'docs/configuration.md'])('stand in %s, each with its default', (path) => {
    const told = limitsOf(path).map(([name = '', text = '']) => {
      if (text === 'unlimited') return [name, Number.POSITIVE_INFINITY]
      const plain = text.replaceAll(',', '').replace(' ', '')
      return [name, name.endsWith('Ms') ? readDurationMs(plain) : readBytes(plain)]
    })
    expect(Object.fromEntries(told)).toEqual(LIMIT_DEFAULTS)
    expect(told).toHaveLength(Object.keys(LIMIT_DEFAULTS).length)
  })
})

describe('dependencies', () => {
  const { dependencies, optionalDependencies, devDependencies, overrides } = manifest
  const all = { ...dependencies, ...optionalDependencies, ...devDependencies, ...overrides }

  it('are named in CONTRIBUTING.md with their reason', () => {
    const contributing = readText('CONTRIBUTING.md')
    expect(Object.keys(all).filter((name) => !contributing.includes(`\`${name}\``))).toEqual([])
  })

  it('are declared: what ships imports no package that only another package brings', () => {
    const shipped = readSources(/^(shared|server|client|cli)\//)
    const declared = new Set(Object.keys({ ...dependencies, ...optionalDependencies, ...manifest.peerDependencies }))
    const undeclared = shipped
      .filter(({ path }) => path !== 'build/clientBundle.ts')
      .flatMap(({ path, imports }) =>
        imports
          .filter((one) => one.path === undefined && !one.specifier.startsWith('node:'))
          .filter((one) => !declared.has(packageOf(one.specifier)))
          .map((one) => `${path}: ${one.specifier}`),
      )
    expect(undeclared).toEqual([])
  }, 120_000)

  it('are pinned', () => {
    expect(Object.entries(all).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([])
  })

  it('that read what comes over the network do not fall below their floors', () => {
    const lock = JSON.parse(readText('package-lock.json')) as { packages: Record<string, { version?: string }> }
    const floors = {
      ws: '8.21.0',
      'engine.io': '6.6.8',
      'socket.io': '4.8.3',
      'socket.io-parser': '4.2.6',
      express: '5.2.0',
    }
    for (const [name, floor] of Object.entries(floors)) {
      const found = Object.entries(lock.packages).filter(([path]) => path.endsWith(`node_modules/${name}`))
      expect(found.length, name).toBeGreaterThan(0)
      for (const [path, { version = '' }] of found) {
        const order = version.localeCompare(floor, 'en', { numeric: true })
        expect(order >= 0, `${path} is ${version}, and has to be ${floor} or newer`).toBe(true)
      }
    }
  })

  it('that run scripts when they are installed are few, and known', () => {
    const lock = JSON.parse(readText('package-lock.json')) as { packages: Record<string, { hasInstallScript?: true }> }
    const scripted = Object.entries(lock.packages).filter(([, { hasInstallScript }]) => hasInstallScript === true)
    const names = scripted.map(([path]) => packageOf(path.split('node_modules/').at(-1) ?? ''))
    expect([...new Set(names)].sort()).toEqual(['bufferutil', 'esbuild', 'lmdb', 'msgpackr-extract'])
  })

  it('of the lock file are those of package.json', () => {
    const lock = JSON.parse(readText('package-lock.json')) as { packages: Record<string, Partial<Manifest>> }
    const root = lock.packages['']
    expect({ ...root?.dependencies, ...root?.optionalDependencies, ...root?.devDependencies, ...overrides }).toEqual(
      all,
    )
  })
})

describe('papers', () => {
  it('are there', () => {
    const papers = [
      'README.md',
      'CHANGELOG.md',
      'CONTRIBUTING.md',
      'LICENSE',
      'SECURITY.md',
      'Dockerfile',
      'compose.yaml',
      'docs/architecture.md',
      'docs/protocol.md',
      '.ci/run',
    ]
    expect(papers.filter((path) => !exists(path))).toEqual([])
  })

  it.each(['CONTRIBUTING.md', 'docs/architecture.md'])('%s names only what is there', (paper) => {
    const named = [
      ...readText(paper).matchAll(/`((?:shared|server|client|cli|console|bench|test|build|examples|docs)\/[\w./-]*)`/g),
    ]
    expect(named.length).toBeGreaterThan(5)
    expect(named.map(([, path = '']) => path).filter((path) => !exists(path))).toEqual([])
  })
})
