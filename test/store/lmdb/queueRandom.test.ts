import { lmdbEngine, MEMORY } from '../conformance/fixture.ts'
import { describeQueueRandom } from '../model/queueRandom.ts'

describeQueueRandom('LMDB', () => lmdbEngine(MEMORY))
