/** Who may call what: every route of the API against every kind of token. */
import { describe, expect, test } from 'vitest'
import { ACCESS } from '../../src/http/access.ts'
import { newToken, type TokenRole, tokenHash } from '../../src/queue/token.ts'
import { aNewToken } from '../support/factories.ts'
import { type Service, type Setup, shared } from './support/service.ts'

type Kind = 'none' | 'client' | 'runner' | 'admin' | 'expired' | 'revoked' | 'another'
/** `another` is a runner's token, but not of the runner that the request names. */
const KINDS: Kind[] = ['none', 'client', 'runner', 'admin', 'expired', 'revoked', 'another']

const let_in = 'let in'
const refused = {
  none: 'token_required',
  expired: 'invalid_token',
  revoked: 'invalid_token',
} as const

type Outcomes = Record<Kind, string>
const scope = 'insufficient_scope'
const outcomes = (client: string, runner: string, another = runner): Outcomes => ({
  ...refused,
  ...{ client, runner, another },
  admin: let_in,
})
const CLIENT = outcomes(let_in, scope)
const CLIENT_OR_RUNNER = outcomes(let_in, let_in)
const RUNNER = outcomes(scope, let_in)
const ITS_RUNNER = outcomes(scope, let_in, 'runner_not_yours')
const ADMIN = outcomes(scope, scope)
const EVERYBODY = Object.fromEntries(KINDS.map((kind) => [kind, let_in])) as Outcomes

const IDENTITY = { hostname: 'alpha', project_dir: '/project', executor_profile: 'coding' }
/** Worked out by hand, see the tests of the registry. */
const RUNNER_ID = 'lnch_8aea70269c10'
const OF_RUNNER = { runner_id: RUNNER_ID }
const REPORT = { ...OF_RUNNER, error: 'x', status: 'finished' }
const RUN = { type: 'start_session', prompt: 'hello' }
const EVENT = { event_type: 'x', session_id: 'ses_1', timestamp: '2026-01-31T12:00:00.000Z' }

/** Every route, with what a request to it needs to get past the checks of its form. */
const ROUTES: [route: string, outcomes: Outcomes, body?: object | undefined, query?: string][] = [
  ['GET /health', EVERYBODY],
  ['GET /openapi.json', EVERYBODY],
  ['GET /docs', EVERYBODY],
  ['GET /', EVERYBODY],
  ['GET /dashboard/runs', EVERYBODY],
  ['GET /dashboard/runs/:run_id', EVERYBODY],
  ['GET /dashboard/sessions', EVERYBODY],
  ['GET /dashboard/sessions/:session_id', EVERYBODY],
  ['GET /dashboard/runners', EVERYBODY],
  ['GET /dashboard/runners/:runner_id', EVERYBODY],
  ['GET /dashboard/assets/:version/:name', EVERYBODY],
  ['GET /dashboard/fragments/overview', CLIENT],
  ['GET /dashboard/fragments/activity', CLIENT],
  ['GET /dashboard/fragments/runs', CLIENT],
  ['GET /dashboard/fragments/runs/:run_id', CLIENT],
  ['GET /dashboard/fragments/sessions', CLIENT],
  ['GET /dashboard/fragments/sessions/:session_id', CLIENT],
  ['GET /dashboard/fragments/runners', CLIENT],
  ['GET /dashboard/fragments/runners/:runner_id', CLIENT],
  ['POST /runs', CLIENT, RUN],
  ['POST /runs/batch', CLIENT, { runs: [RUN] }],
  ['GET /runs', CLIENT],
  ['GET /runs/:run_id', CLIENT_OR_RUNNER],
  ['GET /runs/:run_id/events', CLIENT],
  ['GET /runs/:run_id/explain', CLIENT_OR_RUNNER],
  ['POST /runs/:run_id/stop', CLIENT],
  ['POST /runs/:run_id/retry', CLIENT],
  ['GET /sessions', CLIENT],
  ['GET /sessions/:session_id', CLIENT_OR_RUNNER],
  ['GET /sessions/:session_id/status', CLIENT_OR_RUNNER],
  ['GET /sessions/:session_id/affinity', CLIENT_OR_RUNNER],
  ['GET /sessions/:session_id/result', CLIENT],
  ['GET /sessions/:session_id/events', CLIENT],
  ['POST /sessions/:session_id/bind', CLIENT_OR_RUNNER, {}],
  ['POST /sessions/:session_id/events', CLIENT_OR_RUNNER, EVENT],
  ['PATCH /sessions/:session_id/metadata', CLIENT_OR_RUNNER, {}],
  ['POST /sessions/:session_id/stop', CLIENT],
  ['DELETE /sessions/:session_id', CLIENT],
  // Refused for the id once it is let in: it would not end otherwise.
  ['GET /events', CLIENT, undefined, '?last_event_id=x'],
  ['GET /sse/sessions', CLIENT, undefined, '?last_event_id=x'],
  ['POST /runner/register', ITS_RUNNER, IDENTITY],
  ['GET /runner/runs', ITS_RUNNER, undefined, `?runner_id=${RUNNER_ID}`],
  ['POST /runner/runs/claim', ITS_RUNNER, OF_RUNNER],
  ['POST /runner/runs/:run_id/started', ITS_RUNNER, REPORT],
  ['POST /runner/runs/:run_id/completed', ITS_RUNNER, OF_RUNNER],
  ['POST /runner/runs/:run_id/failed', ITS_RUNNER, REPORT],
  ['POST /runner/runs/:run_id/stopped', ITS_RUNNER, OF_RUNNER],
  ['POST /runner/sessions/:session_id/status', ITS_RUNNER, REPORT],
  ['POST /runner/heartbeat', ITS_RUNNER, OF_RUNNER],
  ['GET /agents', RUNNER],
  ['GET /agents/:name', RUNNER],
  ['GET /metrics', CLIENT],
  ['GET /runners', CLIENT_OR_RUNNER],
  ['GET /runners/:runner_id/explain', CLIENT_OR_RUNNER],
  ['DELETE /runners/:runner_id', ADMIN],
  ['DELETE /runners/:runner_id', ITS_RUNNER, undefined, '?self=true'],
]

const IDS: Record<string, string> = {
  run_id: 'run_1',
  session_id: 'ses_1',
  runner_id: RUNNER_ID,
  name: 'writer',
}

interface Guarded extends Service {
  tokens: Record<Exclude<Kind, 'none'>, string>
}

async function withTokens(service: Service): Promise<Guarded> {
  const { engine, clock } = service
  async function make(role: TokenRole, expires_at: string | null = null) {
    const token = newToken()
    const made = aNewToken({ role, expires_at, token_hash: tokenHash(token) })
    return { token, ...(await engine.tokens.create(made, clock.now())) }
  }
  const revoked = await make('admin')
  await engine.tokens.revoke(revoked.token_id, clock.now())
  const tokens = {
    client: (await make('client')).token,
    runner: (await make('runner')).token,
    another: (await make('runner')).token,
    admin: (await make('admin')).token,
    expired: (await make('admin', clock.now())).token,
    revoked: revoked.token,
  }
  return { ...service, tokens }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

export function describeAccess(setup: Setup): void {
  const given = shared(setup)
  let guarded: Promise<Guarded> | undefined
  const service = () => {
    guarded ??= given().then(withTokens)
    return guarded
  }

  describe('who may call', () => {
    test('is said of every route, here and in the table', async () => {
      const { app } = await service()
      const routes = app.routes.map(({ method, path }) => `${method} ${path}`)
      expect(routes.sort()).toEqual([...new Set(ROUTES.map(([route]) => route))].sort())
      expect(Object.keys(ACCESS).sort()).toEqual(routes)
    })

    test.each(ROUTES)('%s %#', async (route, expected, body, query = '') => {
      const { tokens, send } = await service()
      const [method = '', pattern = ''] = route.split(' ')
      const path = pattern.replace(/:(\w+)/g, (_, name: string) => IDS[name] ?? '') + query
      const seen: Partial<Outcomes> = {}
      for (const kind of KINDS) {
        // There again, should the request before have removed it.
        await send('POST', '/runner/register', {
          headers: { 'content-type': 'application/json', ...bearer(tokens.runner) },
          body: JSON.stringify(IDENTITY),
        })
        const answer = await send<{ code?: string } | undefined>(method, path, {
          headers: {
            ...(body && { 'content-type': 'application/json' }),
            ...(kind !== 'none' && bearer(tokens[kind])),
          },
          body: body === undefined ? null : JSON.stringify(body),
        })
        const { status, headers } = answer
        const code = answer.body?.code
        const challenge = headers.get('www-authenticate')
        const isRefused = status === 403 || (status === 401 && challenge !== null)
        seen[kind] = isRefused ? (code ?? '') : let_in
        expect(challenge).toBe(isRefused ? CHALLENGES[code ?? ''] : null)
      }
      expect(seen).toEqual(expected)
    })
  })
}

/** RFC 6750, section 3. */
const CHALLENGES: Record<string, string> = {
  token_required: 'Bearer',
  invalid_token: 'Bearer error="invalid_token"',
  insufficient_scope: 'Bearer error="insufficient_scope"',
  runner_not_yours: 'Bearer error="insufficient_scope"',
}
