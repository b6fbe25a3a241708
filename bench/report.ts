/** How answers are shown: a table for people, rows for docs/benchmarks.md, or one JSON object a line. */

import type { Answer, Comparison, Finding, Question, Target } from './question.ts'
import type { Series } from './series.ts'

export function printJson(question: Question, { settings, findings, notes }: Answer): void {
  const lines = [{ kind: 'settings', question: question.name, settings, notes }]
  for (const line of [
    ...lines,
    ...findings.map((finding) => ({ kind: 'finding', question: question.name, ...finding })),
  ])
    process.stdout.write(`${JSON.stringify(line)}\n`)
}

export function printText({ name, about }: Question, { settings, findings, notes }: Answer): void {
  const settingsText = Object.entries(settings).map(([key, value]) => `${key}: ${value}`)
  print(`\n${name}: ${about}`)
  print(`  ${settingsText.join(' · ')}`)
  for (const finding of findings) printFinding(finding)
  for (const note of notes) print(`  - ${note}`)
}

/** Rows of the table `what | hub | beside | ratio or difference | aim`. */
export function printMarkdown({ name }: Question, { findings }: Answer): void {
  for (const { what, unit, subject, comparisons, most, met } of findings) {
    const value = (series: Series) => `${number(series.median)} ${spread(series)}`
    const head = `\`${name}\`: ${what}, ${unit}`
    if (most !== undefined || comparisons.length === 0) {
      const aim = most === undefined ? '' : `≤ ${number(most)}: ${verdict(met)}`
      print(`| ${head} | ${subject.name}: ${value(subject)} | | | ${aim} |`)
    }
    for (const { peer, ratio, difference, target, met } of comparisons) {
      const isDifference = target?.of === 'difference'
      const shown = isDifference ? `+ ${value(difference)}` : value(ratio)
      const bound =
        target === undefined ? '' : 'least' in target ? `≥ ${number(target.least)}` : `≤ ${number(target.most)}`
      const aim = target === undefined ? '' : `${bound}: ${verdict(met)}`
      print(`| ${head} | ${subject.name}: ${value(subject)} | ${peer.name}: ${value(peer)} | ${shown} | ${aim} |`)
    }
  }
}

function printFinding({ what, unit, subject, comparisons, most, met }: Finding): void {
  const bound = most === undefined ? '' : `   at most ${number(most)}: ${verdict(met)}`
  print(`\n  ${what}, ${unit}: median (lowest … highest of ${subject.rounds.length})`)
  print(`    ${row(subject)}${bound}`)
  for (const comparison of comparisons) print(`    ${row(comparison.peer)}   ${compared(comparison)}`)
}

function row(series: Series): string {
  return `${series.name.padEnd(42)} ${number(series.median).padStart(12)}  ${spread(series)}`
}

function compared({ ratio, difference, target, met }: Comparison): string {
  const series = target?.of === 'difference' ? difference : ratio
  const shown = `${series.name} ${number(series.median)} ${spread(series)}`
  return target === undefined ? shown : `${shown}, ${targetText(target)}: ${verdict(met)}`
}

function spread({ min, max }: Series): string {
  return `(${number(min)} … ${number(max)})`
}

function targetText(target: Target): string {
  return 'least' in target ? `at least ${number(target.least)}` : `at most ${number(target.most)}`
}

function verdict(met: boolean | undefined): string {
  return met === true ? 'met' : 'MISSED'
}

function number(value: number): string {
  const digits = Math.abs(value) >= 1_000 ? 0 : Math.abs(value) >= 100 ? 1 : Math.abs(value) >= 10 ? 2 : 3
  return value.toLocaleString('en', { maximumFractionDigits: digits })
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
