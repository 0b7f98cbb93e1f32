import { describe, expect, it } from 'vitest'
import { refusal } from '../support/errors.ts'
import { aNewToken } from '../support/factories.ts'
import type { Setup } from './world.ts'

export function describeTokens(setup: Setup): void {
  describe('tokens', () => {
    it('are found by their hash, and only then', async () => {
      const { tokens, clock } = await setup()
      expect(await tokens.find(null)).toEqual({ any: false, token: null })
      expect(await tokens.find('f00')).toEqual({ any: false, token: null })
      const { token_hash, ...given } = aNewToken({ role: 'client', expires_at: clock.ahead(60) })
      const token = await tokens.create({ ...given, token_hash }, clock.now())
      expect(token).toEqual({ ...given, created_at: clock.now(), revoked_at: null })
      expect(await tokens.find(token_hash)).toEqual({ any: true, token: { ...token, token_hash } })
      expect(await tokens.find(null)).toEqual({ any: true, token: null })
      expect(await tokens.find('f00')).toEqual({ any: true, token: null })
    })

    it('are listed newest first, without their hashes, up to a limit', async () => {
      const { tokens, clock } = await setup()
      const made = []
      for (let i = 0; i < 3; i++) made.unshift(await tokens.create(aNewToken(), clock.advance(1)))
      expect(await tokens.list(10)).toEqual(made)
      expect(await tokens.list(2)).toEqual(made.slice(0, 2))
      expect(Object.keys(made[0] ?? {})).not.toContain('token_hash')
    })

    it('are revoked by id or by name, once, for every process', async () => {
      const { tokens, open, clock } = await setup()
      const other = await open()
      const { token_hash, token_id } = aNewToken()
      await tokens.create(aNewToken({ token_id, token_hash, name: 'ci' }), clock.now())
      const revoked_at = clock.advance(1)
      expect(await other.tokens.revoke('ci', revoked_at)).toMatchObject({ token_id, revoked_at })
      expect((await tokens.find(token_hash)).token).toMatchObject({ token_id, revoked_at })
      expect(await tokens.revoke(token_id, clock.advance(1))).toMatchObject({ revoked_at })
      await refusal(tokens.revoke('ci', clock.now()), 'token_not_found')
      await refusal(tokens.revoke('nobody', clock.now()), 'token_not_found')
    })

    it('of one name are revoked by id, until one is left', async () => {
      const { tokens, clock } = await setup()
      const first = await tokens.create(aNewToken({ name: 'ci' }), clock.now())
      const second = await tokens.create(aNewToken({ name: 'ci' }), clock.now())
      const { message } = await refusal(tokens.revoke('ci', clock.now()), 'token_ambiguous')
      for (const { token_id } of [first, second]) expect(message).toContain(token_id)
      expect((await tokens.list(9)).filter(({ revoked_at }) => revoked_at)).toEqual([])
      await tokens.revoke(first.token_id, clock.now())
      expect(await tokens.revoke('ci', clock.now())).toMatchObject({ token_id: second.token_id })
    })

    it('a name that is the id of another means that other', async () => {
      const { tokens, clock } = await setup()
      const meant = await tokens.create(aNewToken(), clock.now())
      const named = await tokens.create(aNewToken({ name: meant.token_id }), clock.now())
      expect(await tokens.revoke(meant.token_id, clock.now())).toMatchObject({ name: meant.name })
      expect((await tokens.list(9)).find(({ token_id }) => token_id === named.token_id)).toEqual(
        named,
      )
    })
  })
}
