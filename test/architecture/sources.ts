/** The repository as the architecture tests see it: its files, and what each module imports and touches. */

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, posix } from 'node:path'
import ts from 'typescript'
import { ROOT } from '../../build/build.ts'

export interface Import {
  /** As written: `../shared/errors.ts`, `lmdb`. */
  readonly specifier: string
  /** The file it names, from the root; `undefined` for a package or a built-in module. */
  readonly path: string | undefined
  readonly line: number
  readonly typeOnly: boolean
  readonly dynamic: boolean
}

export interface Source {
  /** From the root, with slashes. */
  readonly path: string
  readonly text: string
  readonly imports: readonly Import[]
  /** `process.exit` and `process.env`, also when they are imported from `node:process`. */
  readonly touches: readonly { readonly what: 'process.exit' | 'process.env'; readonly line: number }[]
}

/** What is tracked, and what would be: paths from the root. Outside a checkout: all that is not made by a machine. */
export function repositoryFiles(): string[] {
  const listed = spawnSync(
    'git',
    ['-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
    { cwd: ROOT, encoding: 'utf8' },
  )
  if (listed.status === 0) return listed.stdout.split('\0').filter((path) => path !== '' && exists(path))
  return readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => !/^(node_modules|dist|data|coverage|\.git|\.build-[^/]*)(\/|$)/.test(path))
    .filter((path) => statSync(join(ROOT, path)).isFile())
}

export function readText(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

export function readSources(within = /^/): Source[] {
  return repositoryFiles()
    .filter((path) => /\.tsx?$/.test(path) && within.test(path))
    .map((path) => readSource(path, readText(path)))
}

export function readSource(path: string, text: string): Source {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  const imports: Import[] = []
  const touches: Source['touches'][number][] = []
  const lineOf = (node: ts.Node): number => file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1

  const addImport = (specifier: ts.Node | undefined, typeOnly: boolean, dynamic: boolean): void => {
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return
    const { text: name } = specifier
    const local = name.startsWith('.') ? posix.join(posix.dirname(path), name) : undefined
    imports.push({ specifier: name, path: local, line: lineOf(specifier), typeOnly, dynamic })
  }
  const addTouch = (name: string, node: ts.Node): void => {
    if (name === 'exit' || name === 'env') touches.push({ what: `process.${name}`, line: lineOf(node) })
  }

  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      addImport(node.moduleSpecifier, isTypeOnly(node.importClause), false)
      const named = node.importClause?.namedBindings
      if (/^"?'?(node:)?process/.test(node.moduleSpecifier.getText(file).slice(1)) && named && ts.isNamedImports(named))
        for (const element of named.elements) addTouch((element.propertyName ?? element.name).text, element)
    } else if (ts.isExportDeclaration(node)) {
      addImport(node.moduleSpecifier, node.isTypeOnly, false)
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      addImport(node.arguments[0], false, true)
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      addImport(node.argument.literal, true, false)
    } else if (ts.isPropertyAccessExpression(node) && node.expression.getText(file) === 'process') {
      addTouch(node.name.text, node)
    } else if (ts.isElementAccessExpression(node) && node.expression.getText(file) === 'process') {
      if (ts.isStringLiteralLike(node.argumentExpression)) addTouch(node.argumentExpression.text, node)
    } else if (ts.isVariableDeclaration(node) && node.initializer?.getText(file) === 'process') {
      if (ts.isObjectBindingPattern(node.name))
        for (const { propertyName, name } of node.name.elements) addTouch((propertyName ?? name).getText(file), name)
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return { path, text, imports, touches }
}

function isTypeOnly(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true
  const named = clause.namedBindings
  return !clause.name && !!named && ts.isNamedImports(named) && named.elements.every((element) => element.isTypeOnly)
}

/** The package of a specifier: `@scope/name/part` → `@scope/name`. */
export function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/** Rings of imports, each once, as `a → b → a`. */
export function findCycles(sources: readonly Source[]): string[] {
  const byPath = new Map(sources.map((source) => [source.path, source]))
  const done = new Set<string>()
  const way: string[] = []
  const cycles = new Set<string>()
  const walk = (path: string): void => {
    const at = way.indexOf(path)
    if (at >= 0) cycles.add([...way.slice(at), path].join(' → '))
    if (at >= 0 || done.has(path)) return
    way.push(path)
    for (const { path: next } of byPath.get(path)?.imports ?? []) if (next !== undefined && byPath.has(next)) walk(next)
    way.pop()
    done.add(path)
  }
  for (const { path } of sources) walk(path)
  return [...cycles]
}

export function exists(path: string): boolean {
  return existsSync(join(ROOT, path))
}
