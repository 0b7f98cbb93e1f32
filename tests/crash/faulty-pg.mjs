// Loaded before a server on PostgreSQL: makes its driver do what no server may do (env: FAULT).
import pg from 'pg'

const REPLACEMENTS = {
  takes_outdated_tokens: [/\(with_claim IS NULL OR claim_token = with_claim\)/, 'true'],
  keeps_stops_to_itself: [/stop_sent_at IS NULL OR/g, 'false AND'],
  drops_results: [/= held\.outcome/, '= NULL'],
}

const query = pg.Client.prototype.query
pg.Client.prototype.query = function (config, ...rest) {
  const replaced = REPLACEMENTS[process.env.FAULT]
  if (!replaced || typeof config?.text !== 'string') return query.call(this, config, ...rest)
  return query.call(this, { ...config, text: config.text.replace(...replaced) }, ...rest)
}
