import { describeEngine } from '../conformance/describe-engine.ts'
import { openFixture } from './fixture.ts'

describeEngine('PostgreSQL', openFixture)
