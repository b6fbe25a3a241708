import { sealed } from '../conformance/fixture.ts'
import { describeRandom } from '../model/random.ts'
import { redisEngine, sharedServers } from './fixture.ts'

const servers = sharedServers('single')

describeRandom('Redis', () => redisEngine(servers()))
describeRandom('sealed Redis', () => sealed(redisEngine(servers())))
