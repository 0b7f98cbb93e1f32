/** The page around every view. It is the same for all and holds no data: see routes.ts. */
import type { Child } from 'hono/jsx'

const VIEWS = [
  ['/', 'Overview'],
  ['/dashboard/runs', 'Runs'],
  ['/dashboard/sessions', 'Sessions'],
  ['/dashboard/runners', 'Runners'],
] as const

/** In this order: later ones win. */
const STYLES = ['uplot.css', 'style.css', 'controls.css', 'parts.css', 'plots.css', 'page.css']

export const shellPage = (version: string): string =>
  `<!doctype html>${String(<Shell version={version} />)}`

function Shell({ version }: { version: string }) {
  const asset = (name: string) => `/dashboard/assets/${version}/${name}`
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>runqueue</title>
        <link rel="icon" type="image/svg+xml" href={asset('icon.svg')} />
        {STYLES.map((name) => (
          <link rel="stylesheet" href={asset(name)} />
        ))}
        <script defer src={asset('language.js')} />
        <script defer src={asset('uplot.js')} />
        <script type="module" src={asset('main.js')} />
      </head>
      <body>
        <a class="skip" href="#main">
          Skip to the content
        </a>
        <header class="bar">
          <a class="brand" href="/" aria-label="runqueue, overview">
            <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
              <rect x="1" y="2" width="18" height="4" rx="2" />
              <rect x="1" y="8" width="12" height="4" rx="2" />
              <rect x="1" y="14" width="6" height="4" rx="2" />
            </svg>
            runqueue
          </a>
          <nav aria-label="Views">
            {VIEWS.map(([href, title]) => (
              <a href={href}>{title}</a>
            ))}
          </nav>
          <p class="live" id="live" data-state="connecting">
            <span class="dot" aria-hidden="true" />
            <span id="live-words">Connecting</span>
          </p>
          <button type="button" class="quiet" id="forget" hidden>
            Forget token
          </button>
        </header>
        <main id="main" tabindex={-1}>
          <p class="empty">Loading…</p>
          <noscript>
            <p class="empty">
              This page needs JavaScript. In a terminal, <code>runqueue list</code> shows the runs.
            </p>
          </noscript>
        </main>
        <TokenForm />
        <Confirmation />
        <p class="unseen" id="say" aria-live="polite" />
      </body>
    </html>
  )
}

function TokenForm() {
  return (
    <template id="token-form">
      <form class="token card">
        <h1 tabindex={-1}>A token is needed</h1>
        <p id="token-hint">
          This server answers whoever has a token of the role <b>client</b> or <b>admin</b>. Make
          one with <code>runqueue token create --role client --name NAME</code>. It is kept in the
          open tabs of this page, until they are closed.
        </p>
        <label for="token">Token</label>
        <Row>
          <input
            id="token"
            name="token"
            type="password"
            required
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            aria-describedby="token-hint token-error"
          />
          <button type="submit" class="main">
            Open
          </button>
        </Row>
        <p id="token-error" class="problem" role="alert" />
      </form>
    </template>
  )
}

/** Asked before something that cannot be undone. */
function Confirmation() {
  return (
    <dialog id="confirm" aria-labelledby="confirm-title">
      <form method="dialog">
        <h2 id="confirm-title">?</h2>
        <p id="confirm-words" />
        <Row>
          <button type="submit" value="yes" class="danger" id="confirm-yes">
            Yes
          </button>
          <button type="submit" value="no" id="confirm-no">
            Leave it
          </button>
        </Row>
      </form>
    </dialog>
  )
}

const Row = ({ children }: { children: Child }) => <div class="row">{children}</div>
