/** Builds a hub's handle: its connection, its topics, and the order of closing. */

import { RepriseError } from '../shared/errors.ts'
import type { ConnectOptions, Hub, HubTypes } from './face.ts'

/**
 * A handle of the hub at `url` (in a browser by default the page's origin). Nothing is sent until a topic is used, and
 * it comes back by itself after every loss. Throws `bad_request` for a `client` that is no name.
 */
export function connect<S extends HubTypes = HubTypes>(_url?: string, _options: ConnectOptions = {}): Hub<S> {
  throw new RepriseError('internal', 'not there yet')
}
