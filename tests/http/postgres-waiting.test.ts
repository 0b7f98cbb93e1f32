import { openFixture } from '../postgres/fixture.ts'
import { describeHttpWaiting } from './describe-http.ts'

describeHttpWaiting('PostgreSQL', openFixture)
