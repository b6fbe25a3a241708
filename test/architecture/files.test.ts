import { dirname } from 'node:path'
import { describe, expect, it } from 'vitest'
import { PRODUCT } from './layers.ts'
import { readText, repositoryFiles } from './sources.ts'

const CODE = /\.(ts|tsx|js|mjs|cjs|css|html|lua|sh)$/
const GENERATED = ['package-lock.json']

/** How many files a folder may have beside each other. */
const AT_A_GLANCE = 14

/** Folders that may have more, each with its reason. */
const LONG_LISTS: Readonly<Record<string, string>> = {
  'cli/commands': 'one file a command, and their list',
  'bench/questions': 'one file a question',
  'bench/roles': 'one file a kind of process',
  'server/store/lmdb/queues': 'one file a rule, as its twin',
  'server/store/redis/queues': 'one file a rule, as its twin',
}

const files = repositoryFiles().filter((path) => !GENERATED.includes(path))
const code = files.filter((path) => CODE.test(path))
const texts = files.filter((path) => CODE.test(path) || /(\.(md|json|ya?ml)|\/run|Dockerfile|ignore)$/.test(path))

describe('files', () => {
  it('have at most 350 lines, tests 400', () => {
    const most = (path: string) => (path.startsWith('test/') ? 400 : 350)
    expect(code.filter((path) => readText(path).split('\n').length > most(path) + 1)).toEqual([])
  })

  it('are named by what they are, not utils, helpers, types, common or manager', () => {
    const vague = /(^|[/.-])(utils?|helpers?|types?|common|managers?|misc)([.-]|\/|$)/i
    expect(code.filter((path) => vague.test(path))).toEqual([])
  })

  it('have names in camelCase', () => {
    const odd = code.filter((path) => !/(^|\/)[a-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)*$/.test(path))
    expect(odd.filter((path) => !/^(\.ci|\.github)\//.test(path))).toEqual([])
  })

  it('lie in folders that are seen at one glance', () => {
    const counts = new Map<string, number>()
    for (const path of code) counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1)
    const full = [...counts].filter(([folder, files]) => files > AT_A_GLANCE && LONG_LISTS[folder] === undefined)
    expect(full).toEqual([])
    // A reason that is no longer needed goes.
    expect(Object.keys(LONG_LISTS).filter((folder) => (counts.get(folder) ?? 0) <= AT_A_GLANCE)).toEqual([])
  })

  it('say at their top what they own', () => {
    const owned = code.filter((path) => PRODUCT.some((folder) => path.startsWith(`${folder}/`)) || isTestSupport(path))
    const silent = owned.filter(
      (path) => !/^(#!.*\n)?\s*(<!doctype html>\s*)?(\/\*|\/\/|--|<!--|#)/i.test(readText(path)),
    )
    expect(silent).toEqual([])
  })

  it('hold no paths of somebody’s machine', () => {
    const machine = /(?<![\w.:@/-])\/(home|Users|root|work|mnt|private)\/[\w.-]/
    expect(linesWith(machine)).toEqual([])
  })

  it('name no package registry', () => {
    const registry = /https?:\/\/[^\s"'/]*(registry|artifact|nexus|mirror|verdaccio|npmjs|yarnpkg)[^\s"'/]*/i
    expect(linesWith(registry)).toEqual([])
    expect(readText('package-lock.json')).not.toMatch(registry)
  })

  function isTestSupport(path: string): boolean {
    return path.startsWith('test/') && !path.endsWith('.test.ts')
  }

  function linesWith(pattern: RegExp): string[] {
    return texts.flatMap((path) =>
      readText(path)
        .split('\n')
        .flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1} ${line.trim()}`] : [])),
    )
  }
})
