/** What is installed beside us: no version that a known attack fits, and no program of a package that runs by surprise. */

import { describe, expect, it } from 'vitest'
import { readText } from './sources.ts'

interface Locked {
  readonly version: string
  readonly integrity?: string
  readonly hasInstallScript?: boolean
  readonly link?: boolean
}

const { packages } = JSON.parse(readText('package-lock.json')) as { packages: Readonly<Record<string, Locked>> }
const installed = Object.entries(packages).filter(([path]) => path !== '')
const nameOf = (path: string) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)

/** The first version that holds, and against what. Of a lower major version nothing may be there. */
const FLOORS: Readonly<Record<string, readonly [version: string, against: string]>> = {
  ws: ['8.17.1', 'CVE-2024-37890: a request with many headers ends the process'],
  'engine.io': ['6.4.2', 'CVE-2023-31125: a request to upgrade ends the process'],
  'socket.io': ['4.6.2', 'CVE-2024-38355: a packet ends the process'],
  'socket.io-parser': ['4.2.6', 'CVE-2026-33151: any number of binary parts is kept'],
  'body-parser': ['2.2.1', 'CVE-2025-13466: a body of many fields'],
  qs: ['6.16.0', 'CVE-2025-15284: arrays without a limit; CVE-2026-82562'],
  'path-to-regexp': ['8.4.0', 'CVE-2026-4926: a pattern that takes exponential time'],
  cookie: ['0.7.0', 'CVE-2024-47764: names that leave their field'],
  ajv: ['8.18.0', 'CVE-2025-69873: a pattern of the data'],
  jose: ['4.15.5', 'CVE-2024-28176: a token that unpacks to much'],
}

/** Packages with a step of their own at `npm install`, each with its reason. */
const MAY_RUN: Readonly<Record<string, string>> = {
  lmdb: 'the embedded store: takes the built binary, or builds it',
  'msgpackr-extract': 'of lmdb',
  esbuild: 'development',
  bufferutil: 'development',
}

describe('packages', () => {
  it.each(Object.entries(FLOORS))('%s is not older than what holds', (name, [floor, against]) => {
    const versions = installed.filter(([path]) => nameOf(path) === name).map(([, { version }]) => version)
    expect(versions.length, `${name} is not installed any more: take it off the list`).toBeGreaterThan(0)
    expect(
      versions.filter((version) => isOlder(version, floor)),
      against,
    ).toEqual([])
  })

  it('run nothing at npm install, apart from those that must', () => {
    const running = installed.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => nameOf(path))
    expect(running.filter((name) => MAY_RUN[name] === undefined)).toEqual([])
    expect(Object.keys(MAY_RUN).filter((name) => !running.includes(name))).toEqual([])
  })

  it('are what they were when they were added: each has its checksum', () => {
    expect(installed.filter(([, { integrity, link }]) => !integrity && !link).map(([path]) => path)).toEqual([])
  })
})

function isOlder(version: string, floor: string): boolean {
  const [ours = [], least = []] = [version, floor].map((text) => text.split('-')[0]?.split('.').map(Number) ?? [])
  const at = least.findIndex((part, i) => part !== ours[i])
  return at >= 0 && (ours[at] ?? 0) < (least[at] ?? 0)
}
