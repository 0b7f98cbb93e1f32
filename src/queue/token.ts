/**
 * - `client`: runs and sessions.
 * - `runner`: register, claim, and report on what its own runners hold.
 * - `admin`: everything.
 */
export const TOKEN_ROLES = ['client', 'runner', 'admin'] as const
