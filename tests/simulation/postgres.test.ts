import { openFixture } from '../postgres/fixture.ts'
import { describeSimulation } from './simulation.ts'

describeSimulation('PostgreSQL', openFixture, 1500)
