import { describeConformance } from './conformance.ts'
import { lmdbEngine } from './fixture.ts'

describeConformance('LMDB', lmdbEngine)
