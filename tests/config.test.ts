import { describe, expect, test } from 'vitest'
import { ConfigError, parseConfig } from '../src/config.ts'

function mistakesOf(environment: Record<string, string>): readonly string[] {
  try {
    parseConfig(environment)
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes
    throw error
  }
  return []
}

const DEFAULTS = {
  host: '127.0.0.1',
  port: 8765,
  databaseUrl: 'file:./data/runqueue.db',
  durability: 'full',
  logLevel: 'info',
  pollTimeoutSeconds: 30,
  heartbeatIntervalSeconds: 60,
  staleThresholdSeconds: 120,
  removeThresholdSeconds: 600,
  lifecycleIntervalSeconds: 30,
  noMatchTimeoutSeconds: 300,
  maxPending: null,
  claimTimeoutSeconds: 60,
  recoveryMode: 'stale',
  recoveryThresholdSeconds: 300,
  retentionSeconds: 604_800,
  runRateLimit: 0,
  runRateBurst: 1,
  maxConnections: 10_000,
  maxWaiting: 5000,
}

/** Each variable with values that make sense, and what they come to. */
const GOOD: [variable: string, value: string, field: string, parsed: unknown][] = [
  ['HOST', '0.0.0.0', 'host', '0.0.0.0'],
  ['HOST', '::1', 'host', '::1'],
  ['PORT', '0', 'port', 0],
  ['PORT', '65535', 'port', 65535],
  ['DATABASE_URL', 'file:/var/lib/queue.db', 'databaseUrl', 'file:/var/lib/queue.db'],
  ['DATABASE_URL', 'sqlite:queue.db', 'databaseUrl', 'sqlite:queue.db'],
  ['DATABASE_URL', 'postgres://u:p@db/queue', 'databaseUrl', 'postgres://u:p@db/queue'],
  ['DATABASE_URL', 'postgresql://db/queue', 'databaseUrl', 'postgresql://db/queue'],
  ['DATABASE_URL', './queue.db', 'databaseUrl', './queue.db'],
  ['DURABILITY', 'normal', 'durability', 'normal'],
  ['LOG_LEVEL', 'silent', 'logLevel', 'silent'],
  ['CORS_ORIGINS', '*', 'corsOrigins', ['*']],
  [
    'CORS_ORIGINS',
    ' https://a.example, ,http://b ',
    'corsOrigins',
    ['https://a.example', 'http://b'],
  ],
  ['RUNNER_POLL_TIMEOUT', '0.5', 'pollTimeoutSeconds', 0.5],
  ['RUNNER_POLL_TIMEOUT', '59', 'pollTimeoutSeconds', 59],
  ['RUNNER_HEARTBEAT_INTERVAL', '7', 'heartbeatIntervalSeconds', 7],
  ['RUNNER_STALE_THRESHOLD', '90.25', 'staleThresholdSeconds', 90.25],
  ['RUNNER_REMOVE_THRESHOLD', '120', 'removeThresholdSeconds', 120],
  ['RUNNER_LIFECYCLE_INTERVAL', '1', 'lifecycleIntervalSeconds', 1],
  ['RUN_NO_MATCH_TIMEOUT', '0', 'noMatchTimeoutSeconds', 0],
  ['RUN_MAX_PENDING', '1', 'maxPending', 1],
  ['RUN_MAX_PENDING', '10000', 'maxPending', 10_000],
  ['RUN_CLAIM_TIMEOUT', ' 5 ', 'claimTimeoutSeconds', 5],
  ['RUN_SWEEP_INTERVAL', '0.1', 'sweepIntervalSeconds', 0.1],
  ['RUN_RECOVERY_MODE', 'none', 'recoveryMode', 'none'],
  ['RUN_RECOVERY_MODE', 'all', 'recoveryMode', 'all'],
  ['RUN_RECOVERY_THRESHOLD', '0', 'recoveryThresholdSeconds', 0],
  ['RUN_RETENTION', '90s', 'retentionSeconds', 90],
  ['RUN_RETENTION', '15m', 'retentionSeconds', 900],
  ['RUN_RETENTION', '1.5h', 'retentionSeconds', 5400],
  ['RUN_RETENTION', '7d', 'retentionSeconds', 604_800],
  ['RUN_RETENTION', '3600', 'retentionSeconds', 3600],
  ['RUN_RETENTION', 'off', 'retentionSeconds', null],
  ['RUN_RATE_LIMIT', '0.5', 'runRateLimit', 0.5],
  // A second's worth, but never less than a run.
  ['RUN_RATE_LIMIT', '0.5', 'runRateBurst', 1],
  ['RUN_RATE_LIMIT', '20', 'runRateBurst', 20],
  ['RUN_RATE_BURST', '100', 'runRateBurst', 100],
  ['HTTP_MAX_CONNECTIONS', '1', 'maxConnections', 1],
  ['HTTP_MAX_WAITING', '0', 'maxWaiting', 0],
]

const WORDS = {
  DURABILITY: 'full or normal',
  LOG_LEVEL: 'fatal, error, warn, info, debug, trace or silent',
  RUN_RECOVERY_MODE: 'none, stale or all',
}
const SECONDS = [
  ...['RUNNER_POLL_TIMEOUT', 'RUNNER_HEARTBEAT_INTERVAL', 'RUNNER_STALE_THRESHOLD'],
  ...['RUNNER_REMOVE_THRESHOLD', 'RUNNER_LIFECYCLE_INTERVAL', 'RUN_NO_MATCH_TIMEOUT'],
  ...['RUN_CLAIM_TIMEOUT', 'RUN_SWEEP_INTERVAL', 'RUN_RECOVERY_THRESHOLD'],
]
const NO_NUMBERS = ['-1', '30s', '0x10', '1e3', 'NaN', 'Infinity', '1,5', '٣', '1 2', '.5', 'ten']
/** Nobody waits that long: these are slips of the finger, or milliseconds. */
const TOO_LARGE = '99999999999'

describe('parseConfig', () => {
  test('without variables: the defaults', () => {
    expect(parseConfig({})).toMatchObject(DEFAULTS)
  })

  test('a variable that is set but empty counts as not set', () => {
    const names = [
      ...Object.keys(WORDS),
      ...SECONDS,
      'HOST',
      'PORT',
      'DATABASE_URL',
      'RUN_MAX_PENDING',
    ]
    const empty = Object.fromEntries(names.map((name, index) => [name, index % 2 ? '' : '  ']))
    expect(parseConfig(empty)).toMatchObject(DEFAULTS)
  })

  test.each(GOOD)('%s=%s', (variable, value, field, parsed) => {
    expect(parseConfig({ [variable]: value })).toMatchObject({ [field]: parsed })
  })

  test('what it returns does not change any more', () => {
    expect(Object.isFrozen(parseConfig({}))).toBe(true)
  })

  test.each(SECONDS)('%s: what is no number of seconds', (variable) => {
    for (const value of [...NO_NUMBERS, TOO_LARGE]) {
      const mistakes = mistakesOf({ [variable]: value })
      const [mistake] = mistakes
      expect(mistakes, value).toHaveLength(1)
      expect(mistake).toMatch(
        new RegExp(`^${variable} must be a number from [\\d.]+ to \\d+, not '`),
      )
      expect(mistake).toContain(`not '${value}'`)
    }
  })

  test.each(['0', '-1d', '7w', 'never', 'OFF', '7 d', '1e3s', '0.5', '4000d', 'd', '7d12h'])(
    'RUN_RETENTION=%s',
    (value) => {
      expect(mistakesOf({ RUN_RETENTION: value })).toEqual([
        `RUN_RETENTION must be a time from 1s to 3650d, like 90s, 15m, 12h or 7d, or off, not '${value}'`,
      ])
    },
  )

  test.each(['-1', '65536', '8765.5', 'http', '1e3', '0x1f'])('PORT=%s', (value) => {
    const [mistake, ...others] = mistakesOf({ PORT: value })
    expect(mistake).toMatch(/^PORT must be a whole number from 0 to 65535, not '/)
    expect(others).toEqual([])
  })

  test.each(['0', '-1', '2.5', '1e3', 'none', '10k'])('RUN_MAX_PENDING=%s', (value) => {
    expect(mistakesOf({ RUN_MAX_PENDING: value })).toEqual([
      `RUN_MAX_PENDING must be a whole number from 1 to 1000000000, not '${value}'`,
    ])
  })

  test.each([
    ['HTTP_MAX_CONNECTIONS', ['0', '2.5', 'many']],
    ['HTTP_MAX_WAITING', ['-1', '0.5']],
    ['RUN_RATE_LIMIT', ['-1', '10/s', TOO_LARGE]],
    ['RUN_RATE_BURST', ['0', 'x']],
  ])('%s: what is no such number', (variable, values) => {
    for (const value of values) {
      const [mistake, ...others] = mistakesOf({ [variable]: value })
      expect(mistake).toMatch(new RegExp(`^${variable} must be a (whole )?number from \\d`))
      expect(others).toEqual([])
    }
  })

  test.each(Object.entries(WORDS))('%s: a word that is none of %s', (variable, words) => {
    for (const value of ['some', 'FULL', 'Stale', 'INFO', '1', 'true']) {
      expect(mistakesOf({ [variable]: value })).toEqual([
        `${variable} must be ${words}, not '${value}'`,
      ])
    }
  })

  test.each(['mariadb://localhost/queue', 'mysql://x', 'http://x/queue.db', 'pg:queue'])(
    'DATABASE_URL=%s',
    (value) => {
      const [mistake, ...others] = mistakesOf({ DATABASE_URL: value })
      expect(mistake).toMatch(
        /^DATABASE_URL must begin with file:, sqlite:, postgres: or postgresql:, not '/,
      )
      expect(others).toEqual([])
    },
  )

  test('a postgres: URL that is none', () => {
    expect(mistakesOf({ DATABASE_URL: 'postgres://host:port/queue' })).toEqual([
      'DATABASE_URL must be like postgres://user:password@host:5432/database',
    ])
  })

  test('a poll is held below the 60 s at which proxies cut', () => {
    expect(mistakesOf({ RUNNER_POLL_TIMEOUT: '60' })).toHaveLength(1)
  })

  test('a runner is not removed before it is stale', () => {
    const order = { RUNNER_STALE_THRESHOLD: '100', RUNNER_REMOVE_THRESHOLD: '99' }
    const [mistake] = mistakesOf(order)
    expect(mistake).toMatch(/RUNNER_REMOVE_THRESHOLD \(99\) .* RUNNER_STALE_THRESHOLD \(100\)/)
  })

  test('every mistake is named, all at once', () => {
    const wrong = {
      ...{ PORT: 'http', DATABASE_URL: 'mysql://x', DURABILITY: 'some', LOG_LEVEL: 'loud' },
      ...{ RUNNER_POLL_TIMEOUT: '30s', RUN_CLAIM_TIMEOUT: '-1', RUN_RECOVERY_MODE: 'never' },
    }
    const mistakes = mistakesOf(wrong)
    const named = mistakes.map((mistake) => mistake.split(' ')[0])
    expect(named.sort()).toEqual(Object.keys(wrong).sort())
    expect(() => parseConfig(wrong)).toThrow(mistakes.join('\n'))
  })

  test('variables of other programs are of no account', () => {
    expect(parseConfig({ PATH: '/bin', RUN_SOMETHING: 'x' })).toMatchObject(DEFAULTS)
  })
})
