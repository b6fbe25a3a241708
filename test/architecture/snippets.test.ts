import { beforeAll, describe, expect, it } from 'vitest'
import { ensureBuilt } from '../support/built.ts'
import { spawnHub } from '../support/hub/process.ts'
import { checkTypes, holds, readBlocks, runBlocks, runs, unknownFences } from './snippets.ts'
import { readText, repositoryFiles } from './sources.ts'

const papers = repositoryFiles().filter(
  (path) => path === 'README.md' || path === 'client/README.md' || /^docs\/.*\.md$/.test(path),
)

beforeAll(ensureBuilt, 60_000)

describe.each(papers)('%s', (path) => {
  const blocks = readBlocks(readText(path))

  it('has no code block that no check knows', () => {
    expect(unknownFences(blocks)).toEqual([])
  })

  it('has code that runs', async () => {
    await runBlocks(blocks, blocks.some(runs) ? (await spawnHub()).url : '')
  }, 120_000)
})

describe('the checks of code blocks', () => {
  const fence = '```'
  const paper = (language: string, ...lines: string[]) => readBlocks([fence + language, ...lines, fence, ''].join('\n'))
  const connecting = [
    "import { connect } from 'reprise/client'",
    "await using hub = connect('http://127.0.0.1:3000')",
    "console.log(await hub.topic('snippets').publish({ n: 1 }))",
  ]

  it('find blocks with their language, mode and text', () => {
    expect(paper('ts stays', 'a()', 'b()')).toEqual([{ line: 1, language: 'ts', mode: 'stays', text: 'a()\nb()\n' }])
    expect(unknownFences([...paper('ruby', ''), ...paper('sh types', '')])).toEqual([
      'line 1: ruby',
      'line 1: sh types',
    ])
  })

  it('see expected lines in their order', () => {
    expect(holds('one\ntwo 7\nthree', 'one\ntwo …')).toBe(true)
    expect(holds('two 7\none', 'one\ntwo …')).toBe(false)
  })

  // One run of the compiler for both, as it takes its time.
  it('have all papers type-check in a user’s program, and see wrong types', async () => {
    const wrong = paper('ts types', "import { connect } from 'reprise/client'", 'connect(7)')
    const told = await checkTypes({
      ...Object.fromEntries(papers.map((path) => [path, readBlocks(readText(path))])),
      'docs/wrong.md': wrong,
    })
    expect(told.trim().split('\n')).toEqual([expect.stringContaining('docs-wrong.md-1.ts(2,9)')])
  }, 60_000)

  it('run programs and commands, and see the failing ones', async () => {
    const { url } = await spawnHub()
    const said = (...lines: string[]) => paper('text', ...lines)
    await runBlocks([...paper('ts', ...connecting), ...said('{ epoch: …, offset: 1, … }')], url)
    await runBlocks([...paper('sh', 'npm run build', 'npx reprise --version'), ...said('…0.…')], url)
    const listening = said('listening on http://127.0.0.1:…')
    await runBlocks([...paper('sh stays', 'npx reprise serve --port 4100 --data ./d'), ...listening], url)
    await expect(runBlocks(paper('sh', 'npm run nothing'), url)).rejects.toThrow('no script nothing')
    await expect(runBlocks(paper('sh', 'false'), url)).rejects.toThrow('ended with 1')
    await expect(runBlocks(paper('ts', "throw new Error('oh')"), url)).rejects.toThrow('oh')
    await expect(runBlocks(paper('yaml', 'topiks: {}'), url)).rejects.toThrow('topiks')
  }, 60_000)
})
