import { openFixture } from '../sqlite/fixture.ts'
import { describeHttp } from './describe-http.ts'

describeHttp('SQLite', openFixture)
