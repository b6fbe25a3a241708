import { soak } from '../../support/tools.ts'
import { describeConformance } from '../conformance/conformance.ts'
import { lmdbEngine, MEMORY, sealed } from '../conformance/fixture.ts'

describeConformance('LMDB', () => lmdbEngine(MEMORY))
describeConformance('sealed LMDB', () => sealed(lmdbEngine(MEMORY)), !soak)
