/** A runner belongs to the token that registered it. */
import { describe, expect, it } from 'vitest'
import type { Caller, NewToken } from '../../src/queue/token.ts'
import { refusal } from '../support/errors.ts'
import { aNewRun, aNewRunner, aNewToken, someTokens } from '../support/factories.ts'
import type { Setup, World } from './world.ts'

type Owned = World & {
  token(facts?: Partial<NewToken>): Promise<Caller>
  registerAs(caller: Caller | null, runner_id?: string): Promise<string>
}

const owned = (setup: Setup) => async (): Promise<Owned> => {
  const world = await setup()
  const { tokens, runners, clock } = world
  return {
    ...world,
    token: (facts) => tokens.create(aNewToken(facts), clock.now()),
    async registerAs(caller, runner_id) {
      const runner = aNewRunner(runner_id === undefined ? {} : { runner_id })
      return (await runners.register(runner, clock.now(), clock.ago(120), caller)).runner_id
    },
  }
}

/** Everything that is done in the name of a runner. */
const DEEDS: [string, (world: World, runner_id: string, caller: Caller) => Promise<unknown>][] = [
  ['heartbeat', ({ runners, clock }, id, caller) => runners.heartbeat(id, clock.now(), caller)],
  ['remove', ({ runners, clock }, id, caller) => runners.remove(id, clock.now(), caller)],
  [
    'claim',
    ({ runs, clock }, runner_id, caller) => {
      const claim = { runner_id, caller, limit: 1, claim_key: null, tokens: someTokens(1) }
      return runs.claim(claim, clock.now())
    },
  ],
  [
    'poll',
    ({ runs, clock }, runner_id, caller) => {
      const claim = { runner_id, caller, limit: 1, claim_key: null, tokens: someTokens(1) }
      return runs.poll(claim, clock.now(), clock.ago(30))
    },
  ],
  ...(['start', 'complete', 'fail', 'confirmStop'] as const).map(
    (report): (typeof DEEDS)[number] => [
      report,
      ({ runs, clock }, runner_id, caller) => {
        const by = { run_id: 'run_1', runner_id, caller, claim_token: null }
        const rest = { session_status: 'idle' as const, result: null, error: 'x' }
        return runs[report]({ ...by, ...rest }, clock.now())
      },
    ],
  ),
  [
    'report of a session',
    ({ sessions, clock }, id, caller) =>
      sessions.report('ses_1', id, 'finished', clock.now(), caller),
  ],
]

export function describeOwnership(setup: Setup): void {
  const world = owned(setup)

  describe('a runner of another token', () => {
    it.each(DEEDS)('%s is refused, and changes nothing', async (_, act) => {
      const given = await world()
      const { token, registerAs, runners, runs, clock } = given
      const runner_id = await registerAs(await token())
      const before = await runners.get(runner_id)
      const { run } = await runs.add(aNewRun(), clock.advance(1))
      await refusal(act(given, runner_id, await token()), 'runner_not_yours')
      expect(await runners.get(runner_id)).toEqual(before)
      expect(await runs.get(run.run_id)).toEqual(run)
    })

    it.each(DEEDS)('%s: its own token and an admin are let in', async (_, act) => {
      const given = await world()
      const { token, registerAs } = given
      const own = await token()
      for (const caller of [own, await token({ role: 'admin' })]) {
        const runner_id = await registerAs(own)
        // There is no such run and no such session, which is for the operation to say.
        const code = await act(given, runner_id, caller).then(
          () => 'done',
          (error) => error.code,
        )
        expect(['done', 'run_not_found', 'session_not_found']).toContain(code)
      }
    })

    it.each(DEEDS)('%s: a token that was revoked meanwhile is refused', async (_, act) => {
      const given = await world()
      const { token, registerAs, tokens, clock } = given
      const own = await token()
      const expiring = await token({ expires_at: clock.ahead(10) })
      const runner_ids = [await registerAs(own), await registerAs(expiring)] as const
      await tokens.revoke(own.token_id, clock.now())
      await refusal(act(given, runner_ids[0], own), 'invalid_token')
      clock.advance(10)
      await refusal(act(given, runner_ids[1], expiring), 'invalid_token')
    })

    it.each(DEEDS)('%s: one without a token has to register with one first', async (_, act) => {
      const given = await world()
      const { token, registerAs } = given
      const runner_id = await registerAs(null)
      await refusal(act(given, runner_id, await token()), 'runner_not_registered')
    })
  })

  describe('registering an id', () => {
    const STALE_SECONDS = 120

    it('of another usable token is refused, be it stale or not', async () => {
      const { token, registerAs, runners, clock } = await world()
      const other = await token({ expires_at: clock.ahead(3600) })
      const runner_id = await registerAs(await token())
      const own = await runners.get(runner_id)
      await refusal(registerAs(other, runner_id), 'runner_not_yours')
      clock.advance(STALE_SECONDS)
      await refusal(registerAs(other, runner_id), 'runner_not_yours')
      expect(await runners.get(runner_id)).toEqual(own)
    })

    it('of its own token is as ever: refused while online, taken back when stale', async () => {
      const { token, registerAs, runners, clock } = await world()
      const own = await token()
      const runner_id = await registerAs(own)
      await refusal(registerAs(own, runner_id), 'duplicate_runner')
      clock.advance(STALE_SECONDS)
      expect(await registerAs(own, runner_id)).toBe(runner_id)
      await runners.heartbeat(runner_id, clock.now(), own)
    })

    it('by an admin is as by its own token, and makes it the admin’s', async () => {
      const { token, registerAs, runners, clock } = await world()
      const own = await token()
      const admin = await token({ role: 'admin' })
      const runner_id = await registerAs(own)
      await refusal(registerAs(admin, runner_id), 'duplicate_runner')
      clock.advance(STALE_SECONDS)
      await registerAs(admin, runner_id)
      await refusal(runners.heartbeat(runner_id, clock.now(), own), 'runner_not_yours')
    })

    it('whose token was revoked or has expired is taken over at once', async () => {
      const { token, registerAs, runners, tokens, clock } = await world()
      const revoked = await token()
      const expired = await token({ expires_at: clock.ahead(10) })
      const next = await token()
      const runner_ids = [await registerAs(revoked), await registerAs(expired)]
      await tokens.revoke(revoked.token_id, clock.now())
      clock.advance(10)
      for (const runner_id of runner_ids) {
        await registerAs(next, runner_id)
        await runners.heartbeat(runner_id, clock.now(), next)
        await refusal(registerAs(next, runner_id), 'duplicate_runner')
      }
    })

    it('that had no token is taken over at once by one that has', async () => {
      const { token, registerAs, runners, clock } = await world()
      const runner_id = await registerAs(null)
      const first = await token()
      await registerAs(first, runner_id)
      await runners.heartbeat(runner_id, clock.now(), first)
      await refusal(registerAs(await token(), runner_id), 'runner_not_yours')
    })

    it('one of two tokens that come at once in two processes gets it', async () => {
      const { token, runners, open, clock } = await world()
      const other = await open()
      const callers = [await token(), await token()]
      const runner = aNewRunner()
      const settled = await Promise.allSettled(
        [runners, other.runners].map((registry, index) =>
          registry.register(runner, clock.now(), clock.ago(120), callers[index] ?? null),
        ),
      )
      expect(settled.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
      const [refused] = settled.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []))
      expect(refused).toMatchObject({ code: 'runner_not_yours' })
    })
  })
}
