import { it } from 'vitest'
import { soak } from '../../support/tools.ts'
import { describeConformance } from '../conformance/conformance.ts'
import { describeRandom } from '../model/random.ts'
import { movesAll, movesOnce } from '../rotating.ts'
import { redisEngine, sharedServers } from './fixture.ts'

const servers = sharedServers('cluster')

describeConformance('Redis Cluster', () => redisEngine(servers()), { sameRules: !soak })
describeRandom('Redis Cluster', () => redisEngine(servers()))

it('payloads on Redis Cluster are put under another key, all of them', () => movesAll(servers().url('all:')))

it('two nodes on Redis Cluster that begin at once move each payload once', () => movesOnce(servers().url('once:')))
