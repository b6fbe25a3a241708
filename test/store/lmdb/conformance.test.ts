import { describeConformance } from '../conformance/conformance.ts'
import { lmdbEngine, MEMORY } from '../conformance/fixture.ts'

describeConformance('LMDB', () => lmdbEngine(MEMORY))
