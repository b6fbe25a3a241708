import { MEMORY } from '../../support/temp.ts'
import { soak } from '../../support/tools.ts'
import { describeConformance } from '../conformance/conformance.ts'
import { lmdbEngine, sealed } from '../conformance/fixture.ts'

describeConformance('LMDB', () => lmdbEngine(MEMORY))
describeConformance('sealed LMDB', () => sealed(lmdbEngine(MEMORY)), { payloadsAlone: !soak })
