import { describe, expect, it } from 'vitest'
import { exists, readSource, readText, repositoryFiles } from './sources.ts'

const LMDB = 'server/store/lmdb/queues'
const REDIS = 'server/store/redis/queues'

/** The rules of queues, each in two languages. */
const RULES = repositoryFiles()
  .filter((path) => path.startsWith(`${REDIS}/`) && path.endsWith('.lua') && !path.startsWith(`${REDIS}/storage/`))
  .map((path) => path.slice(REDIS.length + 1, -'.lua'.length))

/** What has no call of its own among those of queues: the batcher's question, and a part of `maintain`. */
const INTERNAL = ['due', 'fireTimers']

/** Functions that carry a rule, beside the operations. */
const SHARED: Readonly<Record<string, readonly string[]>> = {
  timers: ['fireTimers', 'lapse', 'fail'],
  deadLetters: ['deadLetter', 'removeJob'],
  requests: ['keepAnswer'],
  settle: ['release'],
}

const CONTRACT = ['queues', 'schedules', 'finished'].flatMap((part) => methodsOf(`server/store/contract/${part}.ts`))

describe('the two engines', () => {
  it.each(RULES)('have the rule %s in files of one name, with the same operations', (rule) => {
    const [lua, ts] = [`${REDIS}/${rule}.lua`, `${LMDB}/${rule}.ts`]
    expect(exists(ts), `${lua} has no twin: ${ts} is not there`).toBe(true)
    const there = exported(readText(ts)).filter((name) => CONTRACT.includes(name))
    const here = [...readText(lua).matchAll(/^function operations\.(\w+)/gm)].map(([, name = '']) => name)
    const operations = here.filter((name) => !INTERNAL.includes(name))
    expect(operations.toSorted(), `${lua} and its twin ${ts}`).toEqual(there.toSorted())
    for (const name of SHARED[rule] ?? []) {
      expect(readText(lua), `${name} in ${lua}, as in its twin ${ts}`).toMatch(
        new RegExp(`^local function ${name}\\(`, 'm'),
      )
      expect(exported(readText(ts)), `${name} in ${ts}, as in its twin ${lua}`).toContain(name)
    }
  })

  it('have the same number where they name the same bound', () => {
    const bounds = (files: readonly string[]) => new Map(files.flatMap((path) => boundsIn(readText(path))))
    const inTs = bounds(
      filesOf(LMDB, '.ts').concat(
        'server/store/jobs/releases.ts',
        'server/store/jobs/jobPolicy.ts',
        'server/store/jobs/progress.ts',
        ...filesOf('server/store/lmdb/dedup', '.ts'),
      ),
    )
    const inLua = bounds(filesOf(REDIS, '.lua').concat('server/store/redis/scripting/dedup.lua'))
    const both = [...inLua.keys()].filter((name) => inTs.has(name) && !OWN.includes(name))
    expect(both.length).toBeGreaterThan(6)
    for (const name of both) expect(inLua.get(name), `${name} in the scripts, beside its twin`).toBe(inTs.get(name))
  })

  it('name the lists of a queue alike', () => {
    const record = readText(`${REDIS}/storage/record.lua`)
    const [, lists = ''] = /^local LISTS = \{([^}]*)\}/m.exec(record) ?? []
    const inLua = [...lists.matchAll(/(\w+) = '/g)].map(([, name = '']) => name)
    const [, indexes = ''] =
      /^export const INDEXES = \{([\s\S]*?)\n\}/m.exec(readText(`${LMDB}/storage/indexes.ts`)) ?? []
    const inTs = [...indexes.matchAll(/^ {2}(\w+):/gm)].map(([, name = '']) => name)
    const shared = inTs.filter((name) => inLua.includes(name))
    expect(shared).toEqual([
      'ready',
      'suspects',
      'blocked',
      'scheduled',
      'retrying',
      'retryingBySequence',
      'held',
      'expiries',
      'grouped',
      'turns',
      'resting',
      'remembered',
      'waiting',
    ])
  })
})

/** They measure how each engine lays its records out. */
const OWN = ['ENTRY', 'SWEPT']

function filesOf(folder: string, ending: string): string[] {
  return repositoryFiles().filter((path) => path.startsWith(`${folder}/`) && path.endsWith(ending))
}

function exported(text: string): string[] {
  return [...text.matchAll(/^export (?:async )?function (\w+)/gm)].map(([, name = '']) => name)
}

function boundsIn(text: string): [string, number][] {
  const found = text.matchAll(/^(?:export const|const|local) ([A-Z][A-Z_]+) = (\d[\d_]*)$/gm)
  return [...found].map(([, name = '', value = '']) => [name, Number(value.replaceAll('_', ''))])
}

function methodsOf(path: string): string[] {
  const [, body = ''] =
    /export interface (?:Queues extends Finished|Schedules|Finished) \{([\s\S]*)\n\}/.exec(
      readSource(path, readText(path)).text,
    ) ?? []
  return [...body.matchAll(/^ {2}(\w+)\(/gm)].map(([, name = '']) => name)
}
