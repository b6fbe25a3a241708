/** The store's own epochs, under which topics are born. Always asked for anew: a node's memory is no evidence. */

import { RepriseError } from '../../../../shared/errors.ts'
import type { Bounds } from '../../contract/store.ts'
import { newEpoch } from '../../token.ts'
import type { Router } from '../connection/router.ts'
import { askScript, STORE } from '../scripting/loader.ts'

const SCHEMA_VERSION = 2

export interface StoreEpochs {
  /** How many the store has begun. */
  readonly begun: string
  /** The servers' runs for which one was begun. */
  readonly runs: string
  /** The last of them, oldest first. */
  readonly epochs: string
}

export interface Wanted {
  /** More than this many have to be begun. */
  readonly after?: string
  /** One has to be begun for this run. */
  readonly run?: string
  /** If one is begun now, it counts for this run. */
  readonly noted?: string
  /** The store is being opened: one that this hub does not know is refused for good. */
  readonly opening?: boolean
}

export async function storeEpochs(router: Router, key: string, wanted: Wanted): Promise<StoreEpochs> {
  const { after = '0', run = '', noted = run, opening = false } = wanted
  const reply = await askScript(router, STORE.epochs, key, [newEpoch(), after, run, noted, String(SCHEMA_VERSION)])
  const [begun = '0', runs = '', epochs = '', schema = '1'] = (reply as Buffer[]).map(String)
  if (Number(schema) > SCHEMA_VERSION) {
    const text = `the store in Redis has schema version ${schema}, this hub knows ${SCHEMA_VERSION}: use a newer hub`
    throw new RepriseError(opening ? 'unsupported' : 'unavailable', text)
  }
  return { begun, runs, epochs: epochs.trim() }
}

/** Of a topic that is not there: it begins with the store's epochs that none of its dropped logs has had. */
export function unbornBounds({ begun, epochs }: StoreEpochs, dead: string): Bounds {
  const own = epochs.split(' ').slice(-Math.max(1, Number(begun) - Number(dead)))
  const lineage = own.map((epoch) => ({ epoch, startsAfter: 0 }))
  return { epoch: lineage.at(-1)?.epoch ?? '', lineage, first: 1, head: 0 }
}
