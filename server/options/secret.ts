/**
 * Secrets as options name them: `env:NAME`, `file:PATH`, or the text itself. Options keep the reference, so that they can
 * be shown; whoever needs the secret reads it.
 */

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { RepriseError } from '../../shared/errors.ts'

export type Variables = Readonly<Record<string, string | undefined>>

export interface Secret {
  readonly value: string
  /** The absolute path, of one that a file holds: it may change. */
  readonly file?: string
}

const VARIABLE = /^env:(.*)$/s
const FILE = /^file:(.*)$/s

/**
 * Paths of files are absolute by now. A file's last line break is not part of the secret. Throws `bad_request` with a
 * sentence that holds nothing of the secret.
 */
export function readSecret(reference: string, env: Variables = process.env): Secret {
  const [, name] = VARIABLE.exec(reference) ?? []
  if (name !== undefined) {
    const value = env[name]
    if (value === undefined) throw wrong(`env:${name}: there is no such variable`)
    if (value.trim() === '') throw wrong(`env:${name}: the variable is empty`)
    return { value }
  }
  const [, file] = FILE.exec(reference) ?? []
  if (file !== undefined) {
    if (file === '') throw wrong('file: names no file')
    const value = contentOf(file).replace(/\r?\n$/, '')
    if (value.trim() === '') throw wrong(`file:${file}: the file is empty`)
    return { value, file }
  }
  if (reference.trim() === '') throw wrong('is empty; give env:NAME, file:PATH or the secret itself')
  return { value: reference }
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    const why =
      code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'is a folder' : `cannot be read (${code})`
    throw wrong(`file:${file}: ${why}`, cause)
  }
}

/** A path by itself is a reference to the file, where `isText` says that it is not the secret itself. */
export function referenceOf(text: string, isText: (text: string) => boolean): string {
  return VARIABLE.test(text) || FILE.test(text) || isText(text) ? text : `file:${text}`
}

const WITH_SECRETS = ['auth', 'tls', 'encryption']

/** With secrets that are the same whatever folder they are read from later. */
export function withAbsoluteSecrets<T extends object>(options: T, base: string): T {
  const groups = Object.entries(options).filter(([name]) => WITH_SECRETS.includes(name))
  return { ...options, ...Object.fromEntries(groups.map(([name, group]) => [name, absoluteSecrets(group, base)])) }
}

/** The same reference, whatever folder it is read from later. */
export function absoluteSecret(reference: string, base: string): string {
  const [, path] = FILE.exec(reference) ?? []
  return path === undefined || path === '' ? reference : `file:${resolve(base, path)}`
}

/** The same in a group of options, wherever they stand. */
function absoluteSecrets<T>(options: T, base: string): T {
  if (typeof options === 'string') return absoluteSecret(options, base) as T
  if (Array.isArray(options)) return options.map((one) => absoluteSecrets(one, base)) as T
  if (typeof options !== 'object' || options === null) return options
  return Object.fromEntries(Object.entries(options).map(([name, one]) => [name, absoluteSecrets(one, base)])) as T
}

/** As it may be shown: a reference as it is, a secret that stands there itself not at all. */
export function shownSecret(reference: string): string {
  return VARIABLE.test(reference) || FILE.test(reference) ? reference : '…'
}

/** The names of the variables that options refer to, wherever they stand. */
export function variablesIn(options: unknown): ReadonlySet<string> {
  const found = new Set<string>()
  const walk = (value: unknown): void => {
    if (typeof value === 'string') {
      const [, name] = VARIABLE.exec(value) ?? []
      if (name !== undefined) found.add(name)
    } else if (typeof value === 'object' && value !== null) {
      for (const inner of Object.values(value)) walk(inner)
    }
  }
  walk(options)
  return found
}

function wrong(message: string, cause?: unknown): RepriseError {
  return new RepriseError('bad_request', message, { cause })
}
