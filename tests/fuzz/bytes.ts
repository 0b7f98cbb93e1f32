/** Byte streams that are HTTP, nearly so, or not at all. */
import fc from 'fast-check'

const BODY = '{"type":"start_session","prompt":"bytes"}'

export const post = (body = BODY, headers: string[] = []): string =>
  [
    'POST /runs HTTP/1.1',
    'Host: localhost',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...headers,
    '',
    body,
  ].join('\r\n')

const get = (path: string, headers: string[] = []): string =>
  [`GET ${path} HTTP/1.1`, 'Host: localhost', ...headers, '', ''].join('\r\n')

const chunked = (...chunks: string[]): string =>
  [
    'POST /runs HTTP/1.1',
    'Host: localhost',
    'Content-Type: application/json',
    'Transfer-Encoding: chunked',
    '',
    chunks.join(''),
  ].join('\r\n')

const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`

/** What should never have been sent. */
const ODD_STREAMS = [
  '\r\n\r\n\r\n',
  '\0\0\0\0',
  'GET\r\n\r\n',
  'GET / HTTP/9.9\r\n\r\n',
  'get /health http/1.1\r\nHost: localhost\r\n\r\n',
  'GET /health HTTP/1.1\r\n\r\n',
  'GET /health HTTP/1.0\r\n\r\n',
  'GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
  'GET /health HTTP/1.1\r\nHost: x y\r\n\r\n',
  'GET //evil.example/health HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'GET * HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'TRACE /health HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'GET /health HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  get(`/runs/${'x'.repeat(20_000)}`),
  get('/health', [`X-Long: ${'x'.repeat(20_000)}`]),
  get(
    '/health',
    Array.from({ length: 3000 }, (_, n) => `X-${n}: 1`),
  ),
  get('/health', ['X\0: 1']),
  get('/health', ['X: a\0b']),
  get('/health', [' folded: 1']),
  get('/runs/%00'),
  get('/runs/%'),
  get('/runs/\xff\xfe'),
  get('/runs?wait=%zz'),
  get('/health', ['Expect: 100-continue']),
  post(BODY, ['Expect: 100-continue']),
  post(BODY, ['Expect: nonsense']),
  post(BODY, ['Content-Length: 5']),
  post(BODY, ['Transfer-Encoding: chunked']),
  post(BODY, ['Content-Encoding: gzip']),
  post(BODY).replace(/Content-Length: \d+/, 'Content-Length: -1'),
  post(BODY).replace(/Content-Length: \d+/, 'Content-Length: 1e3'),
  post(BODY).replace(/Content-Length: \d+/, 'Content-Length: 99999999999999999999'),
  post(BODY).replace(/Content-Length: \d+/, 'Content-Length: 99999999'),
  post(BODY).replace(/Content-Length: \d+/, 'Content-Length: 5'),
  post(BODY).replace(/Content-Length: \d+/, 'Content-Length: 500'),
  post(BODY).replace(/Content-Length: \d+\r\n/, ''),
  chunked(chunk(BODY.slice(0, 9)), chunk(BODY.slice(9)), '0\r\n\r\n'),
  chunked(chunk(BODY), '0\r\nTrailer: x\r\n\r\n'),
  chunked(chunk(BODY)),
  chunked('zz\r\nx\r\n'),
  chunked('-5\r\nhello\r\n'),
  chunked('ffffffffffffffff\r\nx\r\n'),
  chunked('5;ext="a\r\nb"\r\nhello\r\n0\r\n\r\n'),
  post('{"type":"start_session","prompt":"\xff"}'),
]

/** Some bytes are others than they were. */
const disturbed = fc
  .tuple(
    fc.constantFrom(post(), get('/health'), chunked(chunk(BODY), '0\r\n\r\n')),
    fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { minLength: 1, maxLength: 4 }),
  )
  .map(([text, changes]) => {
    const bytes = Buffer.from(text, 'latin1')
    for (const [at, byte] of changes) bytes[at % bytes.length] = byte
    return bytes
  })

const whole = fc.constantFrom(post(), get('/health'), get('/runs'), ...ODD_STREAMS)

export interface Stream {
  /** Sent one after another, each when the one before is on its way. */
  pieces: Buffer[]
  /** Then: says that nothing follows, breaks off, or waits. */
  ending: 'half_close' | 'break_off' | 'wait'
}

export const streams: fc.Arbitrary<Stream> = fc
  .record({
    bytes: fc.oneof(
      { weight: 4, arbitrary: whole.map((text) => Buffer.from(text, 'latin1')) },
      { weight: 3, arbitrary: disturbed },
      // Pipelined, good and bad.
      {
        weight: 2,
        arbitrary: fc
          .array(whole, { minLength: 2, maxLength: 4 })
          .map((texts) => Buffer.from(texts.join(''), 'latin1')),
      },
      {
        weight: 1,
        arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      },
    ),
    cuts: fc.array(fc.nat(300), { maxLength: 3 }),
    ending: fc.constantFrom('half_close', 'break_off', 'wait'),
  })
  .map(({ bytes, cuts, ending }) => {
    const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length]
    places.sort((a, b) => a - b)
    const pieces = places.slice(1).map((place, at) => bytes.subarray(places[at], place))
    return { pieces, ending }
  })
