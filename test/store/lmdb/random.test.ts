import { MEMORY } from '../../support/temp.ts'
import { lmdbEngine, sealed } from '../conformance/fixture.ts'
import { describeRandom } from '../model/random.ts'

describeRandom('LMDB', () => lmdbEngine(MEMORY))
describeRandom('sealed LMDB', () => sealed(lmdbEngine(MEMORY)))
