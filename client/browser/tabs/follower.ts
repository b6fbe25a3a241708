/**
 * A tab's way to the one that leads. It asks whether that one is still there, as often as matters: a page that is frozen or
 * blocked keeps its lock, and says nothing.
 */

import { alone, type Call, channelOf, sizeOf, type Word } from './messages.ts'
import type { Pipe } from './pipe.ts'

/** How often it looks whether it has heard of the leader. */
const LOOK_MS = 200
/** Looks without a word until the leader is taken for dead. */
const MAX_LOOKS = 3
/** What was read is told when it is so much. */
const TOLD_BYTES = 65_536

export interface FollowerOwner {
  /** There is a leader, and it answers. */
  welcomed(): void
  /** There may be one, and it does not. */
  unanswered(): void
}

export class Follower {
  readonly #tab: string
  readonly #calls: BroadcastChannel
  readonly #channel: BroadcastChannel
  readonly #owner: FollowerOwner
  /** Those that the leader knows of, and those that wait for one. */
  readonly #open = new Map<number, Pipe>()
  readonly #waiting = new Map<number, Pipe>()
  #pipes = 0
  #leader: string | undefined
  /** Bytes that the leader does not know of. */
  #read = 0
  #looks = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(name: string, tab: string, calls: BroadcastChannel, owner: FollowerOwner) {
    this.#tab = tab
    this.#calls = calls
    this.#owner = owner
    this.#channel = channelOf(name, tab)
    this.#channel.onmessage = ({ data }: MessageEvent<Word>) => this.#hear(data)
  }

  /** Looks for who leads now; what was open over another one is over. */
  seek(): void {
    this.#leader = undefined
    this.#looks = this.#read = 0
    this.#call()
    this.#drop()
    this.#look()
  }

  attach(pipe: Pipe): void {
    const n = ++this.#pipes
    this.#waiting.set(n, pipe)
    pipe.lead({
      send: (data) => this.#say({ kind: 'data', pipe: n, data: alone(data) }),
      close: () => {
        this.#waiting.delete(n)
        if (this.#open.delete(n)) this.#say({ kind: 'close', pipe: n })
      },
    })
    this.#ask()
    this.#look()
  }

  /** Gives those that wait to somebody else; the others are over. */
  close(): Pipe[] {
    clearTimeout(this.#timer)
    this.#leader = undefined
    this.#channel.close()
    this.#drop()
    return [...this.#waiting.values()]
  }

  #drop(): void {
    const pipes = [...this.#open.values()]
    this.#open.clear()
    for (const pipe of pipes) pipe.end()
  }

  #ask(): void {
    if (this.#leader === undefined) return
    for (const [pipe, one] of this.#waiting) {
      this.#open.set(pipe, one)
      this.#say({ kind: 'open', pipe })
    }
    this.#waiting.clear()
  }

  #hear(word: Word): void {
    if (word.kind === 'welcome') {
      this.#leader = word.leader
      this.#looks = 0
      this.#drop()
      this.#ask()
      this.#owner.welcomed()
      return
    }
    if (word.leader !== this.#leader) return
    this.#looks = 0
    if (word.kind === 'close') {
      const pipe = this.#open.get(word.pipe)
      this.#open.delete(word.pipe)
      pipe?.end()
    } else if (word.kind === 'data') {
      this.#open.get(word.pipe)?.receive(word.data)
      this.#read += sizeOf(word.data)
      if (this.#read < TOLD_BYTES) return
      this.#say({ kind: 'read', bytes: this.#read })
      this.#read = 0
    }
  }

  #call(): void {
    this.#calls.postMessage({ kind: 'follows', tab: this.#tab } satisfies Call)
  }

  #say(word: Unaddressed<Word>): void {
    if (this.#leader !== undefined) this.#channel.postMessage({ ...word, leader: this.#leader })
  }

  /** While something depends on the leader. Timers of hidden tabs are slow, so it counts what it has asked in vain. */
  #look(): void {
    if (this.#timer !== undefined || this.#open.size + this.#waiting.size === 0) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      const looks = this.#looks++
      if (looks > 0 && looks % MAX_LOOKS === 0) this.#owner.unanswered()
      if (looks > 0 && this.#leader === undefined) this.#call()
      else if (looks > 0) this.#say({ kind: 'ping' })
      this.#look()
    }, LOOK_MS)
  }
}

type Unaddressed<W> = W extends Word ? Omit<W, 'leader'> : never
