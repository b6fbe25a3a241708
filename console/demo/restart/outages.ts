/** When the hub was away, as this tab saw it: kept through a reload, the last ones only. */

import { keep, readKept } from '../kept.ts'

export interface Outage {
  readonly from: number
  /** `undefined` while it lasts. */
  readonly to?: number
  /** The most events that waited in the page. */
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

  /** It is away, and so many events wait in the page. */
  goesOn(waiting: number): void {
    const { present } = this
    if (present === undefined) this.#keep([{ from: Date.now(), waited: waiting }, ...this.#list])
    else if (waiting > present.waited) this.#keep([{ ...present, waited: waiting }, ...this.#list.slice(1)])
  }

  ended(): void {
    const { present } = this
    if (present !== undefined) this.#keep([{ ...present, to: Date.now() }, ...this.#list.slice(1)])
  }

  #keep(list: readonly Outage[]): void {
    this.#list = list.slice(0, KEPT)
    keep(this.#name, this.#list)
  }
}

function areOutages(value: unknown): value is readonly Outage[] {
  return Array.isArray(value) && value.every((one) => typeof one?.from === 'number' && typeof one.waited === 'number')
}
