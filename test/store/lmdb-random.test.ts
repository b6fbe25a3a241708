import { lmdbEngine } from './fixture.ts'
import { describeRandom } from './random.ts'

describeRandom('LMDB', lmdbEngine)
