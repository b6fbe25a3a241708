/**
 * Private members become members with short names: their declarations need no bytes then, nor does the sign before each use.
 * Types keep programs from private members already.
 */

import ts from 'typescript'

/** In the order in which the bundler gives names to variables, so that the same letters are near each other. */
const LETTERS = 'etnriaoscludfpmhgvybxSCwTEDOkAjMNPFILRzBVHUWGKqJYXZ'

/** Throws for a class whose private members could meet those of another one. */
export function withoutPrivate(code: string, path: string): string {
  const file = ts.createSourceFile(path, code, ts.ScriptTarget.Latest, true)
  const edits: { readonly from: number; readonly to: number; readonly text: string }[] = []

  const visit = (node: ts.Node, scopes: readonly ReadonlyMap<string, string>[]): void => {
    if (ts.isClassLike(node)) {
      const names = namesOf(node, path)
      for (const member of node.members) {
        const isBare = ts.isPropertyDeclaration(member) && member.initializer === undefined
        if (isBare && ts.isPrivateIdentifier(member.name)) {
          edits.push({ from: member.getStart(), to: member.end, text: '' })
        } else visit(member, [names, ...scopes])
      }
    } else if (ts.isPrivateIdentifier(node)) {
      const text = scopes.find((names) => names.has(node.text))?.get(node.text)
      if (text === undefined || ts.isBinaryExpression(node.parent)) throw new Error(`${path}: ${node.parent.getText()}`)
      edits.push({ from: node.getStart(), to: node.end, text })
    } else ts.forEachChild(node, (child) => visit(child, scopes))
  }

  visit(file, [])
  return edits.reverse().reduce((text, { from, to, text: put }) => text.slice(0, from) + put + text.slice(to), code)
}

function namesOf(node: ts.ClassLikeDeclaration, path: string): Map<string, string> {
  const names = new Map<string, string>()
  const letters = [...LETTERS]
  for (const { name } of node.members) {
    if (name === undefined || !ts.isPrivateIdentifier(name) || names.has(name.text)) continue
    const letter = letters.shift()
    const isExtended = node.heritageClauses?.some(({ token }) => token === ts.SyntaxKind.ExtendsKeyword)
    if (letter === undefined || isExtended) throw new Error(`${path}: ${name.text} cannot become a short name`)
    names.set(name.text, letter)
  }
  return names
}
