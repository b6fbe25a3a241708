/**
 * Regular expressions of schemas, matched in time that is linear in the text: whoever may only publish must not be able to
 * choose a text on which an expression takes minutes. A character class is JavaScript's own; what stands between them is
 * walked as a set of states, without ever going back.
 */

import { RepriseError } from '../../../shared/errors.ts'

export interface Pattern {
  test(text: string): boolean
  /** Its source. */
  toString(): string
}

type Part =
  | { readonly kind: 'character'; readonly fits: Fits }
  | { readonly kind: 'place'; readonly fits: (around: Around) => boolean }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly Part[] }
  | { readonly kind: 'repeat'; readonly part: Part; readonly least: number; readonly most: number }

type Fits = (codePoint: number) => boolean

/** The code points at both sides of a place. Of the one before it only matters whether it is of a word. */
interface Around {
  readonly before: number
  readonly behind: number
}

type State =
  | { readonly kind: 'character'; readonly fits: Fits; readonly next: number }
  | { readonly kind: 'place'; readonly fits: (around: Around) => boolean; readonly next: number }
  | { kind: 'fork'; readonly next: number; other: number }

/** Repetitions are written out, so that a short expression can be a large one. */
const MAX_STATES = 2_000
/** The state in which the text fits. */
const FOUND = -1
/** In the place of a code point where the text begins or ends. */
const NOTHING = -1
const A_WORD = 97
const NO_WORD = 32
/** Ways that are kept; then all are forgotten: a text may be made to go many. */
const MAX_KEPT = 2_000
/** A class of characters is looked through when it is made: it counts as so many. */
const A_CLASS = 10
/** What a way costs that is not known yet. */
const STEP_WORK = 40

const CHARACTER =
  /\[(?:\\.|[^\]\\])*\]|\\(?:u\{[0-9a-f]+\}|u[d][89ab]..\\u[d][c-f]..|u.{4}|x..|c.|[pP]\{[^}]*\}|.)|[^()|*+?{}\\[\]^$]/isuy
const TIMES = /(?:([*+?])|\{(\d+)(,?)(\d*)\})\??/y
const GROUP = /\((?:\?(?:(:)|<(?![=!])[^>]*>|(.)))?/suy

/** `charge` is told how much work a text makes, and may throw. Throws `bad_request` for what cannot be matched so. */
export function linearPattern(source: string, charge: (work: number) => void): Pattern {
  const part = new Reader(source).read()
  const states: State[] = []
  const start = build(states, part, FOUND, { steps: 0 })
  return new Walk(source, states, start, part.kind === 'sequence' && part.parts[0] === TEXT_START, charge)
}

/** What it takes to make one, in characters: with its repetitions written out. Throws as `linearPattern` does. */
export function sizeOf(source: string): number {
  const states: State[] = []
  const reader = new Reader(source)
  build(states, reader.read(), FOUND, { steps: 0 })
  return states.length + reader.classes * A_CLASS
}

/** All that a text can be in after some characters, and where each next one leads: kept, as most texts lead the same way. */
interface Standing {
  readonly states: readonly number[]
  readonly before: number
  /** By code point below 128, and by 128 at the end of the text. */
  readonly next: (Standing | boolean | undefined)[]
  readonly wide: Map<number, Standing | boolean>
}

class Walk implements Pattern {
  readonly #source: string
  readonly #states: readonly State[]
  readonly #start: number
  readonly #isAnchored: boolean
  readonly #charge: (work: number) => void
  readonly #standings = new Map<string, Standing>()
  #first: Standing
  #kept = 0

  constructor(
    source: string,
    states: readonly State[],
    start: number,
    isAnchored: boolean,
    charge: (work: number) => void,
  ) {
    this.#source = source
    this.#states = states
    this.#start = start
    this.#isAnchored = isAnchored
    this.#charge = charge
    this.#first = this.#standing([], NOTHING)
  }

  toString(): string {
    return `/${this.#source}/u`
  }

  test(text: string): boolean {
    this.#charge(1 + text.length)
    let at = this.#first
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      let next: Standing | boolean | undefined
      if (code < 128) {
        next = at.next[code] ?? this.#step(at, code)
      } else {
        const codePoint = text.codePointAt(i) ?? code
        if (codePoint > 0xffff) i++
        next = at.wide.get(codePoint) ?? this.#step(at, codePoint)
      }
      if (typeof next === 'boolean') return next
      at = next
    }
    return (at.next[128] ?? this.#step(at, NOTHING)) === true
  }

  /** Where a character leads: `true` when the text fits already, `false` when it never will. */
  #step(from: Standing, behind: number): Standing | boolean {
    this.#kept += 1
    if (this.#kept > MAX_KEPT) {
      this.#kept = 0
      this.#standings.clear()
      this.#first = this.#standing([], NOTHING)
    }
    const to = this.#lead(from, behind)
    if (behind >= 128) from.wide.set(behind, to)
    else from.next[behind === NOTHING ? 128 : behind] = to
    return to
  }

  #lead({ states, before }: Standing, behind: number): Standing | boolean {
    const around = { before, behind }
    const open = [...states]
    if (before === NOTHING || !this.#isAnchored) open.push(this.#start)
    const seen = new Set<number>()
    const next = new Set<number>()
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (at === FOUND) return true
      const state = this.#states[at]
      if (state === undefined || seen.has(at)) continue
      seen.add(at)
      if (state.kind === 'fork') open.push(state.next, state.other)
      else if (state.kind === 'place') {
        if (state.fits(around)) open.push(state.next)
      } else if (behind !== NOTHING && state.fits(behind)) next.add(state.next)
    }
    this.#charge(STEP_WORK + seen.size * 2)
    if (behind === NOTHING || (this.#isAnchored && next.size === 0)) return false
    return this.#standing(
      [...next].sort((a, b) => a - b),
      isWord(behind) ? A_WORD : NO_WORD,
    )
  }

  #standing(states: readonly number[], before: number): Standing {
    const name = `${before} ${states.join(' ')}`
    const known = this.#standings.get(name)
    if (known !== undefined) return known
    this.#kept += states.length >> 2
    const made: Standing = { states, before, next: [], wide: new Map() }
    this.#standings.set(name, made)
    return made
  }
}

/** The state where this part begins, when `next` is where it goes on. */
function build(states: State[], part: Part, next: number, work: { steps: number }): number {
  work.steps += 1
  if (states.length >= MAX_STATES || work.steps > 2 * MAX_STATES) {
    throw refusal('is too large: its repetitions, written out, are over 2,000 characters')
  }
  switch (part.kind) {
    case 'character':
    case 'place':
      return states.push({ ...part, next }) - 1
    case 'sequence':
      return part.parts.reduceRight((at, one) => build(states, one, at, work), next)
    case 'choice':
      return part.parts
        .map((one) => build(states, one, next, work))
        .reduceRight((other, at) => states.push({ kind: 'fork', next: at, other }) - 1)
    case 'repeat': {
      const { part: inner, least, most } = part
      let at = next
      if (most === Number.POSITIVE_INFINITY) {
        const fork: State = { kind: 'fork', next, other: next }
        at = states.push(fork) - 1
        fork.other = build(states, inner, at, work)
      } else {
        for (let i = least; i < most; i++) {
          at = states.push({ kind: 'fork', next, other: build(states, inner, at, work) }) - 1
        }
      }
      for (let i = 0; i < least; i++) at = build(states, inner, at, work)
      return at
    }
  }
}

const TEXT_START: Part = { kind: 'place', fits: ({ before }) => before === NOTHING }
const TEXT_END: Part = { kind: 'place', fits: ({ behind }) => behind === NOTHING }
const WORD_EDGE: Part = { kind: 'place', fits: ({ before, behind }) => isWord(before) !== isWord(behind) }
const NO_WORD_EDGE: Part = { kind: 'place', fits: ({ before, behind }) => isWord(before) === isWord(behind) }

/** The parts of an expression that JavaScript takes. */
class Reader {
  /** Different ones that it has met. */
  classes = 0
  readonly #source: string
  readonly #characters = new Map<string, Part>()
  #at = 0

  constructor(source: string) {
    try {
      new RegExp(source, 'u')
    } catch (cause) {
      throw refusal(cause instanceof Error ? cause.message.replace(/^.*: /s, '') : 'is no regular expression', cause)
    }
    this.#source = source
  }

  read(): Part {
    const choices: Part[] = []
    let parts: Part[] = []
    while (this.#at < this.#source.length && this.#source[this.#at] !== ')') {
      if (this.#source[this.#at] === '|') {
        this.#at += 1
        choices.push({ kind: 'sequence', parts })
        parts = []
      } else {
        parts.push(this.#repeated(this.#one()))
      }
    }
    const last: Part = { kind: 'sequence', parts }
    return choices.length === 0 ? last : { kind: 'choice', parts: [...choices, last] }
  }

  #one(): Part {
    const two = this.#source.slice(this.#at, this.#at + 2)
    const place = PLACES[two[0] ?? ''] ?? PLACES[two]
    if (place !== undefined) {
      this.#at += two[0] === '\\' ? 2 : 1
      return place
    }
    if (/^\\[1-9k]/.test(two)) throw refusal('refers back to a group, which cannot be matched in linear time')
    const group = this.#take(GROUP)
    if (group === undefined) return this.#character(this.#take(CHARACTER)?.[0] ?? '')
    if (group[2] !== undefined) throw refusal('looks ahead or behind, which cannot be matched in linear time')
    const inner = this.read()
    this.#at += 1
    return inner
  }

  #repeated(part: Part): Part {
    const [all, sign, least, comma, most] = this.#take(TIMES) ?? []
    if (all === undefined) return part
    if (sign !== undefined) {
      const end = sign === '?' ? 1 : Number.POSITIVE_INFINITY
      return { kind: 'repeat', part, least: sign === '+' ? 1 : 0, most: end }
    }
    const from = Number(least)
    const end = comma === '' ? from : most === '' ? Number.POSITIVE_INFINITY : Number(most)
    return { kind: 'repeat', part, least: from, most: end }
  }

  #character(text: string): Part {
    const known = this.#characters.get(text)
    if (known !== undefined) return known
    const isLiteral = LITERAL.test(text)
    if (!isLiteral) this.classes += 1
    const part: Part = { kind: 'character', fits: isLiteral ? isExactly(text) : fitsClass(text) }
    this.#characters.set(text, part)
    return part
  }

  #take(what: RegExp): RegExpExecArray | undefined {
    what.lastIndex = this.#at
    const found = what.exec(this.#source) ?? undefined
    this.#at += found?.[0].length ?? 0
    return found
  }
}

/** Stands for itself. */
const LITERAL = /^[^.[\\]$/su

function isExactly(character: string): Fits {
  const wanted = character.codePointAt(0)
  return (codePoint) => codePoint === wanted
}

function fitsClass(text: string): Fits {
  const native = new RegExp(`^${text}$`, 'u')
  const plain = Uint8Array.from({ length: 128 }, (_, code) => (native.test(String.fromCharCode(code)) ? 1 : 0))
  return (codePoint) => (codePoint < 128 ? plain[codePoint] === 1 : native.test(String.fromCodePoint(codePoint)))
}

const PLACES: Readonly<Record<string, Part>> = {
  '^': TEXT_START,
  $: TEXT_END,
  '\\b': WORD_EDGE,
  '\\B': NO_WORD_EDGE,
}

function isWord(codePoint: number): boolean {
  return codePoint !== NOTHING && codePoint < 128 && /\w/.test(String.fromCharCode(codePoint))
}

function refusal(why: string, cause?: unknown): RepriseError {
  return new RepriseError('bad_request', why, { cause })
}
