/** When the hub was away, as this tab saw it: kept through a reload, the last ones only. */

import { keep, readKept } from '../kept.ts'

export interface Outage {
  readonly from: number
  /** `undefined` while it lasts. */
  readonly to?: number
  /** Events that waited in the page when it came back. */
  readonly waited: number
}

const KEPT = 10

export class Outages {
  readonly #name: string
  #list: readonly Outage[]

  constructor(name: string) {
    this.#name = name
    this.#list = readKept(name, areOutages) ?? []
  }

  /** The newest first. */
  get list(): readonly Outage[] {
    return this.#list
  }

  /** The one that lasts. */
  get present(): Outage | undefined {
    const [newest] = this.#list
    return newest?.to === undefined ? newest : undefined
  }

  began(): void {
    if (this.present === undefined) this.#keep([{ from: Date.now(), waited: 0 }, ...this.#list])
  }

  ended(waited: number): void {
    const { present } = this
    if (present !== undefined) this.#keep([{ ...present, to: Date.now(), waited }, ...this.#list.slice(1)])
  }

  #keep(list: readonly Outage[]): void {
    this.#list = list.slice(0, KEPT)
    keep(this.#name, this.#list)
  }
}

function areOutages(value: unknown): value is readonly Outage[] {
  return Array.isArray(value) && value.every((one) => typeof one?.from === 'number' && typeof one.waited === 'number')
}
