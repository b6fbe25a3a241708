/** Turns the roles into plain JavaScript, so that no loader works beside what they measure. */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const HERE = fileURLToPath(new URL('.', import.meta.url))

/** Writes all of bench/ into `folder`, which has to lie where its packages are found. */
export function compileBench(folder: string): void {
  for (const name of readdirSync(HERE, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue
    const to = join(folder, name.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(to), { recursive: true })
    writeFileSync(to, compile(readFileSync(join(HERE, name), 'utf8')))
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
}

function compile(text: string): string {
  const compilerOptions: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    verbatimModuleSyntax: true,
    rewriteRelativeImportExtensions: true,
  }
  return ts.transpileModule(text, { compilerOptions }).outputText
}
