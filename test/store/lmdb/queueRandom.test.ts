import { MEMORY } from '../../support/temp.ts'
import { lmdbEngine } from '../conformance/fixture.ts'
import { describeQueueRandom } from '../model/queueRandom.ts'

describeQueueRandom('LMDB', () => lmdbEngine(MEMORY))
