import { openFixture } from '../postgres/fixture.ts'
import { describeHttp } from './describe-http.ts'

describeHttp('PostgreSQL', openFixture)
