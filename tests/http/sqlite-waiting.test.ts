import { openFixture } from '../sqlite/fixture.ts'
import { describeHttpWaiting } from './describe-http.ts'

describeHttpWaiting('SQLite', openFixture)
