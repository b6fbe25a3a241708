/**
 * Notices that the program stood still: stopped, blocked, or its timers held back as in a hidden tab. What arrives then
 * may have waited for long.
 */

const MIN_BEAT_MS = 20
const MAX_BEAT_MS = 1_000
const BEATS = 8

export class Standstill {
  #aliveAt = performance.now()
  /** The end of the last time that it was late. */
  #stoodAt = -Infinity
  #timer: ReturnType<typeof setTimeout> | undefined

  /** Looks often enough to notice what is a part of `ms`. */
  watch(ms: number): void {
    this.stop()
    const beatMs = Math.min(Math.max(ms / BEATS, MIN_BEAT_MS), MAX_BEAT_MS)
    this.#aliveAt = performance.now()
    this.#beat(ms, beatMs)
  }

  /** Whether it stood still for longer than `ms` until now, or until a moment ago. */
  longerThan(ms: number): boolean {
    const now = performance.now()
    return now - this.#aliveAt > ms || now - this.#stoodAt < MAX_BEAT_MS
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #beat(ms: number, beatMs: number): void {
    this.#timer = setTimeout(() => {
      const now = performance.now()
      if (now - this.#aliveAt > ms / 2) this.#stoodAt = now
      this.#aliveAt = now
      this.#beat(ms, beatMs)
    }, beatMs)
    // It is no reason for a program of Node to go on.
    const { unref } = this.#timer as { unref?: () => void }
    unref?.call(this.#timer)
  }
}
