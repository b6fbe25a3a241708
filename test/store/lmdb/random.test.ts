import { lmdbEngine, MEMORY } from '../conformance/fixture.ts'
import { describeRandom } from '../model/random.ts'

describeRandom('LMDB', () => lmdbEngine(MEMORY))
