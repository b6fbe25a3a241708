/** `npm run bench -- QUESTION… [--json] [--quick]`: asks the questions one after the other and prints their answers. */

import { cpus, release, totalmem, type } from 'node:os'
import { parseArgs } from 'node:util'
import { ask } from './asking.ts'
import { chooseProduct, SOURCES } from './product.ts'
import type { Answer, Question, Scale } from './question.ts'
import { QUESTIONS } from './questions/all.ts'
import { printJson, printMarkdown, printText } from './report.ts'
import { findProgram } from './scenes/programs.ts'

const USAGE = `npm run bench -- QUESTION… [options]

${QUESTIONS.map(({ name, about }) => `  ${name.padEnd(13)} ${about}`).join('\n')}
  all           every one of them

  --json          one JSON object a line
  --markdown      rows for docs/benchmarks.md
  --quick         fewer rounds and events
  --scale SCALE   full, quick or smoke
  --data DIR      where stores are put: the disk that is measured (default: the system's temporary folder)
  --dist DIR      another build to measure
  --compare DIR   today's build beside another build, without peers: DIR is the other's dist
  --rounds N      so many rounds
  --sources       the sources through tsx, without a build
  --profile DIR   a CPU profile of every process
`

async function run(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      markdown: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      scale: { type: 'string' },
      data: { type: 'string' },
      dist: { type: 'string' },
      compare: { type: 'string' },
      rounds: { type: 'string' },
      sources: { type: 'boolean', default: false },
      profile: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  const asked = positionals.includes('all') ? QUESTIONS : positionals.map(questionOf)
  if (values.help || asked.length === 0) {
    process.stdout.write(USAGE)
    return
  }
  const scale = scaleOf(values.scale ?? (values.quick ? 'quick' : 'full'))
  const product = values.sources ? SOURCES : await chooseProduct(values.dist)
  const against = values.compare === undefined ? undefined : await chooseProduct(values.compare)
  for (const question of asked) {
    const missing = (question.needs ?? []).filter((name) => findProgram(name) === undefined)
    if (missing.length > 0) {
      process.stderr.write(`${question.name}: not asked, as this machine has no ${missing.join(' and no ')}\n`)
      continue
    }
    const answer = await ask(question, {
      scale,
      product,
      ...(against === undefined ? {} : { against }),
      ...(values.rounds === undefined ? {} : { rounds: countOf(values.rounds) }),
      ...(values.profile === undefined ? {} : { profileTo: values.profile }),
      ...(values.data === undefined ? {} : { dataUnder: values.data }),
      note: (text) => process.stderr.write(`${question.name}: ${text}\n`),
    })
    const settings = { hub: product.description, ...machine(), scale, ...answer.settings }
    const shown: Answer = { ...answer, settings }
    if (values.json) printJson(question, shown)
    else if (values.markdown) printMarkdown(question, shown)
    else printText(question, shown)
  }
}

function questionOf(name: string): Question {
  const question = QUESTIONS.find((one) => one.name === name)
  if (question !== undefined) return question
  throw new Error(`there is no question ${name}; there are ${QUESTIONS.map((one) => one.name).join(', ')}`)
}

function scaleOf(text: string): Scale {
  if (text === 'full' || text === 'quick' || text === 'smoke') return text
  throw new Error(`${text} is no scale: full, quick or smoke`)
}

function countOf(text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text)
  throw new Error(`${text} is no number of rounds`)
}

function machine() {
  const cores = cpus()
  return {
    node: process.version,
    cores: `${cores.length} × ${cores[0]?.model.trim() ?? 'unknown'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${type()} ${release()}`,
  }
}

try {
  await run()
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
