import { openFixture } from '../sqlite/fixture.ts'
import { describeSimulation } from './simulation.ts'

describeSimulation('SQLite', openFixture)
