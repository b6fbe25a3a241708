import { lmdbEngine } from './fixture.ts'
import { describeQueueRandom } from './queue-random.ts'

describeQueueRandom('LMDB', lmdbEngine)
