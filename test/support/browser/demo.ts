/** The replay demo as a visitor uses it: buttons to click and numbers to read. */

import type { Locator, Page } from 'playwright-core'
import { until } from '../until.ts'

export interface Panel {
  readonly state: string
  readonly verdict: string
  readonly missed: number
  readonly replayed: number
  readonly lost: number
  readonly twice: number
}

interface FeedLine {
  readonly kind: string
  /** `undefined` for gaps and notes. */
  readonly offset: number | undefined
  readonly text: string
}

/** A subscriber. Of the first scene: the one with the switch, the one over plain Socket.IO, the one to compare with. */
export type Which = 'fickle' | 'plain' | 'steady' | 'away' | 'late' | 'quick' | 'survivor'

export class Demo {
  readonly page: Page

  constructor(page: Page) {
    this.page = page
  }

  async open(url: string, topic: string): Promise<void> {
    await this.page.goto(`${url}/demo?topic=${topic}`)
    await this.allLive()
  }

  /** The publisher's connection is there too once an event was answered; publishing waits for it by itself. */
  async allLive(): Promise<void> {
    for (const which of ['fickle', 'plain', 'steady'] as const) await this.reaches(which, 'live')
  }

  async publish(count: number): Promise<void> {
    await this.page.getByRole('button', { name: 'Publish one' }).click({ clickCount: count })
  }

  async burst(): Promise<void> {
    await this.page.getByRole('button', { name: 'Burst of 300' }).click()
  }

  /** 0 to 9: from off to 500 a second. */
  async setRate(step: number): Promise<void> {
    const slider = this.page.getByRole('slider', { name: 'Steady' })
    await slider.press('Home')
    for (let i = 0; i < step; i++) await slider.press('ArrowRight')
  }

  /** Turns the switch. */
  async toggle(): Promise<void> {
    await this.page.getByRole('switch', { name: 'Cut the connection' }).click()
  }

  async reaches(which: Which, state: string): Promise<void> {
    await this.page.locator(`[data-test=${which}][data-state=${state}]`).waitFor({ timeout: 15_000 })
  }

  async number(name: string): Promise<number> {
    return Number(await this.page.locator(`[data-test=${name}]`).innerText())
  }

  /** Waits until `count` events were named by replies, and no further reply is waited for. */
  async published(count?: number): Promise<number> {
    let before = 0
    return until(
      async () => {
        const [published, unanswered] = [await this.number('published'), await this.number('unanswered')]
        // The page is drawn a moment after the fact: twice the same is meant.
        const isFinal = unanswered === 0 && published === before && (count ?? published) === published
        before = published
        return isFinal && published
      },
      { what: `${count ?? 'all'} events to be published`, deadlineMs: 20_000, everyMs: 200 },
    )
  }

  async panel(which: Which): Promise<Panel> {
    return this.page.locator(`[data-test=${which}]`).evaluate((panel) => {
      const text = (name: string) => panel.querySelector(`[data-test=${name}]`)?.textContent?.trim() ?? ''
      return {
        state: panel.getAttribute('data-state') ?? '',
        verdict: text('verdict'),
        missed: Number(text('missed')),
        replayed: Number(text('replayed')),
        lost: Number(text('lost')),
        twice: Number(text('twice')),
      }
    })
  }

  /** Waits for the sentence; gives the panel as it is then. */
  async says(which: Which, verdict: string): Promise<Panel> {
    let last: Panel | undefined
    return until(
      async () => {
        last = await this.panel(which)
        return last.verdict === verdict && last
      },
      { what: `"${verdict}"`, deadlineMs: 20_000, seen: () => last },
    )
  }

  /** Newest first. */
  async lines(which: Which): Promise<FeedLine[]> {
    return this.feed(which).evaluate((feed) =>
      [...feed.children].map((line) => {
        const offset = line.getAttribute('data-offset')
        return {
          kind: line.className,
          offset: offset === null ? undefined : Number(offset),
          text: line.textContent ?? '',
        }
      }),
    )
  }

  feed(which: Which): Locator {
    return this.page.locator(`[data-test=${which}] [data-test=feed]`)
  }
}

/** What the page says when all is well. */
export function allHere(count: number): string {
  return count === 1 ? 'The one event is here, once' : `All ${count} events are here, once, in order`
}
