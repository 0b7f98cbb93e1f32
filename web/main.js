/** The page: shows the view of the address, keeps it up to date, and follows links without reloading. */
import { act } from './actions.js'
import { ask, Refusal } from './api.js'
import { one, parsed, problem, say } from './dom.js'
import { morph } from './morph.js'
import { drawPlots } from './plots.js'
import { follow } from './stream.js'
import { fillTimes, setNow } from './times.js'
import { askOtherTabs, forgetToken, keepToken, token } from './token.js'

/** Changes come in bursts: a view is asked for again at most this often … */
const REFRESH_MS = { one: 150, all: 1000 }
/** … and this often though nothing changed, since heartbeats are no change of a run. */
const QUIET_MS = 15_000

const main = one('main', HTMLElement)
const forget = one('forget', HTMLButtonElement)

/** @type {string | undefined} what is followed at present, and how to end that */
let followed
let unfollow = () => {}
/** @type {ReturnType<typeof setTimeout> | undefined} */
let refreshTimer
let refreshing = false
/** Something changed since the view was asked for last. */
let stale = false
let refreshedAt = 0
/** Rises with each address: what comes late for another one is not shown. */
let turn = 0

/** The address of the view's fragment. @param {Location | URL} at */
const fragmentOf = ({ pathname, search }) =>
  pathname === '/'
    ? `/dashboard/fragments/overview${search}`
    : `${pathname.replace(/^\/dashboard\//, '/dashboard/fragments/')}${search}`

/** @param {string} path */
async function fetchView(path) {
  const response = await ask(path)
  setNow(response.headers.get('X-Now'))
  const view = parsed(await response.text())
  fillTimes(view)
  return view
}

/** @param {string} href */
function goTo(href) {
  history.pushState(null, '', href)
  void show()
}

/** Shows the view of the address. @param {{ focus?: boolean }} [options] */
async function show({ focus = true } = {}) {
  turn += 1
  const mine = turn
  markCurrent()
  clearTimeout(refreshTimer)
  try {
    const view = await fetchView(fragmentOf(location))
    if (mine === turn) place(view, focus)
  } catch (error) {
    if (mine === turn) await refused(error)
  }
}

/** @param {Element} view @param {boolean} focus */
function place(view, focus) {
  forget.hidden = token() === null
  main.replaceChildren(view)
  document.title = `${view.getAttribute('data-title')} · runqueue`
  if (focus) {
    scrollTo(0, 0)
    view.querySelector('h1')?.focus({ preventScroll: true })
  }
  refreshedAt = performance.now()
  void fillParts()
  followView(view.getAttribute('data-follow'))
  refreshLater(QUIET_MS)
}

/** @param {unknown} error */
async function refused(error) {
  followView(null)
  if (!(error instanceof Refusal)) throw error
  if (error.status === 401) {
    // Another tab may have one, if this one has none.
    if (token() === null && (await askOtherTabs())) return await show({ focus: false })
    return askForToken(token() === null ? '' : error.message)
  }
  const title =
    error.status === 404 ? 'Not found' : error.status === 403 ? 'Not allowed' : 'No answer'
  place(
    problem(title, error.message, () => void show()),
    true,
  )
}

/** @param {string} why */
function askForToken(why) {
  const template = one('token-form', HTMLTemplateElement)
  const form = /** @type {Element} */ (template.content.cloneNode(true)).querySelector('form')
  if (!form) return
  main.replaceChildren(form)
  document.title = 'A token is needed · runqueue'
  const input = one('token', HTMLInputElement, form)
  one('token-error', HTMLElement, form).textContent = why
  input.focus()
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    keepToken(input.value.trim())
    void show()
  })
}

/** Brings the view up to date in place. */
async function refresh() {
  const view = main.firstElementChild
  if (refreshing || document.hidden || !view?.hasAttribute('data-title')) return
  refreshing = true
  stale = false
  const mine = turn
  try {
    const next = await fetchView(fragmentOf(location))
    if (mine === turn && view.isConnected && next.hasAttribute('data-title')) {
      const before = view.getAttribute('data-title')
      const focused = document.activeElement
      morph(view, next)
      // What moved lost it.
      if (focused instanceof HTMLElement && focused !== document.activeElement) {
        focused.focus({ preventScroll: true })
      }
      const title = next.getAttribute('data-title') ?? ''
      document.title = `${title} · runqueue`
      // Of a run's own page a change of its status is told; of lists that move all day, nothing.
      if (title !== before) say(title)
      void fillParts()
    }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    if (mine === turn && [401, 403, 404].includes(error.status)) await refused(error)
  } finally {
    refreshing = false
    refreshedAt = performance.now()
    refreshLater(stale ? pause() : QUIET_MS)
  }
}

const pause = () => (followed === '' ? REFRESH_MS.all : REFRESH_MS.one)

/** @param {number} milliseconds */
function refreshLater(milliseconds) {
  clearTimeout(refreshTimer)
  refreshTimer = setTimeout(() => void refresh(), milliseconds)
}

/** Parts that are asked for by themselves, since they cost more: each says how soon again. */
async function fillParts() {
  for (const part of main.querySelectorAll('[data-part]')) {
    const path = part.getAttribute('data-part') ?? ''
    const shown = part.firstElementChild
    const isDue = Number(part.getAttribute('data-due') ?? 0) <= performance.now()
    if (!isDue && part.getAttribute('data-shown') === path) continue
    const view = await fetchView(path).catch(() => null)
    if (!view || !part.isConnected) continue
    if (shown) morph(shown, view)
    else part.append(view)
    const again = Number(view.getAttribute('data-again') ?? 60) * 1000
    part.setAttribute('data-due', String(performance.now() + again))
    part.setAttribute('data-shown', path)
    drawPlots(part)
  }
}

/** @param {string | null} query which changes concern the view; null: none, or nobody looks */
function followView(query) {
  const wanted = query === null || document.hidden ? undefined : query
  if (wanted === followed) return
  followed = wanted
  unfollow()
  unfollow = () => {}
  if (wanted === undefined) return showLive(query === null ? 'none' : 'connecting')
  unfollow = follow(wanted, {
    onNews() {
      stale = true
      if (!refreshing) refreshLater(Math.max(0, refreshedAt + pause() - performance.now()))
    },
    onState: showLive,
  })
}

const LIVE = { live: 'Live', connecting: 'Connecting', lost: 'Reconnecting', none: '' }

/** @param {keyof typeof LIVE} state */
function showLive(state) {
  const live = one('live', HTMLElement)
  const before = live.dataset['state']
  live.dataset['state'] = state
  one('live-words', HTMLElement).textContent = LIVE[state]
  if (state === 'lost' && before === 'live') say('The connection was lost; trying again')
  if (state === 'live' && before === 'lost') say('Connected again')
}

function markCurrent() {
  for (const link of document.querySelectorAll('.bar nav a')) {
    const { pathname } = new URL(/** @type {HTMLAnchorElement} */ (link).href)
    const isHere =
      location.pathname === pathname ||
      (pathname !== '/' && location.pathname.startsWith(`${pathname}/`))
    if (isHere) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
}

/** @param {HTMLFormElement} form */
function filter(form) {
  const search = new URLSearchParams()
  for (const [name, value] of new FormData(form)) {
    if (typeof value !== 'string' || value === '') continue
    const before = search.get(name)
    search.set(name, before === null ? value : `${before},${value}`)
  }
  const text = search.toString().replaceAll('%2C', ',')
  const href = `${form.dataset['filter']}${text && '?'}${text}`
  if (href === location.pathname + location.search) return
  history.pushState(null, '', href)
  turn += 1
  refreshing = false
  // In place, so that the focus stays where it is.
  void refresh().then(() => say(`${main.querySelectorAll('tbody tr').length} runs shown`))
}

document.addEventListener('click', (event) => {
  const target = /** @type {Element} */ (event.target)
  const button = target.closest('[data-post]')
  if (button instanceof HTMLElement && !button.hasAttribute('aria-disabled')) {
    void act(button, { goTo, refresh: () => refreshLater(0) })
    return
  }
  const link = target.closest('a')
  const isPlain =
    event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
  if (!link || !isPlain || event.defaultPrevented || link.origin !== location.origin) return
  if (link.getAttribute('href')?.startsWith('#')) return
  event.preventDefault()
  goTo(link.href)
})
document.addEventListener('change', ({ target }) => {
  const input = /** @type {Element} */ (target)
  const form = input.closest('form[data-filter]')
  if (form instanceof HTMLFormElement && input.matches('[type=checkbox]')) filter(form)
})
document.addEventListener('submit', (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target)
  if (!form.dataset['filter']) return
  event.preventDefault()
  filter(form)
})
addEventListener('popstate', () => void show())
document.addEventListener('visibilitychange', () => {
  // Nobody looks: nothing is asked for, and the server has nothing to tell.
  const view = main.querySelector('[data-follow]')
  if (view) followView(view.getAttribute('data-follow'))
  if (!document.hidden) refreshLater(0)
})
forget.addEventListener('click', () => {
  forgetToken()
  void show()
})

void show({ focus: false })
