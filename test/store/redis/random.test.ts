import { describeRandom } from '../model/random.ts'
import { redisEngine, sharedServers } from './fixture.ts'

const servers = sharedServers('single')

describeRandom('Redis', () => redisEngine(servers()))
