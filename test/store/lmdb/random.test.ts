import { lmdbEngine, MEMORY, sealed } from '../conformance/fixture.ts'
import { describeRandom } from '../model/random.ts'

describeRandom('LMDB', () => lmdbEngine(MEMORY))
describeRandom('sealed LMDB', () => sealed(lmdbEngine(MEMORY)))
