/** Who is calling, and whether they may. */
import { timingSafeEqual } from 'node:crypto'
import type { Context, Handler, Hono } from 'hono'
import { type Caller, type Token, tokenHash, tokenState } from '../queue/token.ts'
import { ACCESS, type Access } from './access.ts'
import type { Deps, Env } from './deps.ts'
import { RequestError, wwwAuthenticate } from './errors.ts'
import { isLoopback } from './loopback.ts'
import { note } from './requests.ts'

/**
 * Mounts routes behind the table. Each handler is wrapped by itself: a middleware would put Hono's
 * composition of handlers in the way of every request.
 */
export function mount(app: Hono<Env>, path: string, routes: Hono<Env>, deps: Deps): void {
  const at = app.basePath(path)
  for (const { method, path: below, handler } of routes.routes) {
    const name = `${method} ${path}${below === '/' ? '' : below}`
    const access = ACCESS[name]
    if (access === undefined) throw new Error(`${name} says nowhere who may call it`)
    at.on(
      method,
      below,
      access === 'open' ? handler : guarded(handler as Handler<Env>, name, access, deps),
    )
  }
}

const guarded =
  (handler: Handler<Env>, route: string, access: Access, deps: Deps): Handler<Env> =>
  async (c, next) => {
    const run_id = c.req.param('run_id')
    note(c, run_id === undefined ? { route } : { route, run_id })
    // Read as the handler reads it, so that both mean the same where it is given twice.
    const wanted = access.self && c.req.query()['self'] === 'true' ? access.self : access
    c.set('caller', await admit(c, wanted, deps))
    return handler(c, next)
  }

/**
 * Asked of the database for each request, so that a token counts from the moment it is made and no
 * longer than until it is revoked, in every process. It is one prepared read by a unique index:
 * measured at 10 µs, and 2 µs for the hash, of the 100 and more that a request takes.
 * @returns null where no token is needed
 */
async function admit(c: Context, access: Access, deps: Deps): Promise<Caller | null> {
  const presented = bearer(c.req.header('authorization'))
  const hash = presented === null ? null : tokenHash(presented)
  const { any, token } = await deps.engine.tokens.find(hash)
  if (token === null || hash === null) {
    // No token at all is for trying things out, which only this machine may. Once there was one, all
    // being revoked or expired does not open the doors again.
    if (!any && isLoopback(deps.config.host)) {
      refuseOtherSites(c, deps)
      return null
    }
    throw presented === null ? tokenRequired(access) : invalidToken('is not known here')
  }
  // The index found it by its hash; this makes sure of it in a time that tells nothing.
  if (!timingSafeEqual(Buffer.from(hash), Buffer.from(token.token_hash))) {
    throw invalidToken('is not known here')
  }
  const state = tokenState(token, deps.now())
  if (state !== 'usable') throw invalidToken(state === 'revoked' ? 'was revoked' : 'has expired')
  if (token.role !== 'admin' && !access.roles.includes(token.role)) {
    throw insufficientScope(token, access)
  }
  const { token_id, name, role } = token
  return { token_id, name, role }
}

/** Whether who opened a stream may go on reading it. @throws RequestError */
export async function admitTo(route: string, c: Context, deps: Deps): Promise<void> {
  const access = ACCESS[route]
  if (access !== undefined && access !== 'open') await admit(c, access, deps)
}

/** Other schemes are not ours: what they bring counts as nothing. */
function bearer(header: string | undefined): string | null {
  return /^Bearer +(\S+) *$/i.exec(header ?? '')?.[1] ?? null
}

/**
 * Without tokens any page in a browser on this machine could call: by a name that leads here (DNS
 * rebinding, seen by its Host), or with a request that needs no leave (seen by its Origin or by
 * Sec-Fetch-Site). A token does away with both, since no browser sends it by itself.
 */
function refuseOtherSites(c: Context, { config }: Deps): void {
  const host = c.req.header('host')
  // A browser always names one.
  if (host !== undefined && !isLoopback(host.replace(/:\d*$/, ''))) {
    throw new RequestError(
      403,
      'host_not_allowed',
      `Without any token only names of this machine are answered, like localhost, not '${host.slice(0, 100)}': create a token (runqueue token create)`,
    )
  }
  const origin = c.req.header('origin')
  const site = c.req.header('sec-fetch-site') ?? 'none'
  const { corsOrigins } = config
  const isAllowed =
    origin === undefined
      ? site === 'none' || site === 'same-origin'
      : origin.replace(/^https?:\/\//, '') === host ||
        corsOrigins.includes('*') ||
        corsOrigins.includes(origin)
  if (isAllowed) return
  throw new RequestError(
    403,
    'origin_not_allowed',
    'Pages of other sites may not call: allow their origin with CORS_ORIGINS',
  )
}

const tokenRequired = ({ doing, roles }: Access) =>
  new RequestError(
    401,
    'token_required',
    `A token (${orAdmin(roles)}) is needed to ${doing}, and none was sent`,
    undefined,
    wwwAuthenticate(),
  )

const invalidToken = (why: string) =>
  new RequestError(
    401,
    'invalid_token',
    `The token ${why}`,
    undefined,
    wwwAuthenticate('invalid_token'),
  )

const insufficientScope = ({ role, name }: Token, { doing, roles }: Access) =>
  new RequestError(
    403,
    'insufficient_scope',
    `The ${role} token '${name}' may not ${doing}: that takes ${orAdmin(roles)}`,
    undefined,
    wwwAuthenticate('insufficient_scope'),
  )

const orAdmin = (roles: Access['roles']): string => [...roles, 'admin'].join(' or ')
