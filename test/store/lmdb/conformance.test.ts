import { describeConformance } from '../conformance/conformance.ts'
import { lmdbEngine } from '../conformance/fixture.ts'

describeConformance('LMDB', lmdbEngine)
