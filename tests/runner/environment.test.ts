import { expect, test } from 'vitest'
import { runEnvironment } from '../../src/runner/environment.ts'
import { claimedRun } from './fake-server.ts'

const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
const place = { url: 'http://127.0.0.1:8765', project_dir: '/srv/project' }

test('tells the command about its run', () => {
  const run = claimedRun({
    type: 'resume_session',
    prompt: 'hello',
    parameters: { prompt: 'hello', depth: 2 },
    agent_name: 'writer',
    scope: { tenant: 'a' },
    attempt: 2,
    traceparent: TRACEPARENT,
  })
  expect(runEnvironment(run, place)).toEqual({
    RUNQUEUE_RUN_ID: run.run_id,
    RUNQUEUE_SESSION_ID: run.session_id,
    RUNQUEUE_TYPE: 'resume_session',
    RUNQUEUE_ATTEMPT: '2',
    RUNQUEUE_PROMPT: 'hello',
    RUNQUEUE_PARAMETERS: '{"prompt":"hello","depth":2}',
    RUNQUEUE_AGENT_NAME: 'writer',
    RUNQUEUE_PROJECT_DIR: '/srv/project',
    RUNQUEUE_SCOPE: '{"tenant":"a"}',
    RUNQUEUE_URL: 'http://127.0.0.1:8765',
    TRACEPARENT,
  })
})

test('hides the values of another run where this one has none', () => {
  const environment = runEnvironment(claimedRun(), place)
  expect(environment).toHaveProperty('RUNQUEUE_AGENT_NAME', undefined)
  expect(environment).toHaveProperty('RUNQUEUE_SCOPE', undefined)
  expect(environment).toHaveProperty('TRACEPARENT', undefined)
})

test('leaves out what the system could not pass', () => {
  const longest = 'é'.repeat((128 * 1024 - 'RUNQUEUE_PROMPT=\0'.length - 1) / 2)
  const prompt = (text: string) => runEnvironment(claimedRun({ prompt: text }), place)
  expect(prompt(`${longest}x`)['RUNQUEUE_PROMPT']).toBe(`${longest}x`)
  expect(prompt(`${longest}xx`)['RUNQUEUE_PROMPT']).toBeUndefined()
  expect(prompt('a\0b')['RUNQUEUE_PROMPT']).toBeUndefined()
})
