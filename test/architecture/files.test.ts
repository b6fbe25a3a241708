import { describe, expect, it } from 'vitest'
import { PRODUCT } from './layers.ts'
import { readText, repositoryFiles } from './sources.ts'

const CODE = /\.(ts|tsx|js|mjs|cjs|css|html|lua|sh)$/
const GENERATED = ['package-lock.json']

const files = repositoryFiles().filter((path) => !GENERATED.includes(path))
const code = files.filter((path) => CODE.test(path))
const texts = files.filter((path) => CODE.test(path) || /(\.(md|json|ya?ml)|\/run|Dockerfile|ignore)$/.test(path))

describe('files', () => {
  it('have at most 400 lines', () => {
    expect(code.filter((path) => readText(path).split('\n').length > 401)).toEqual([])
  })

  it('are named by what they are, not utils, helpers, types, common or manager', () => {
    const vague = /(^|[/.-])(utils?|helpers?|types?|common|managers?|misc)([.-]|\/|$)/i
    expect(code.filter((path) => vague.test(path))).toEqual([])
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
