/**
 * The token, in this tab only: sessionStorage ends with it. A new tab asks the others, so that a link
 * which is opened in one does not ask the person again.
 */
const KEY = 'runqueue-token'
const OTHER_TABS_MS = 150

const channel = new BroadcastChannel('runqueue-token')
channel.addEventListener('message', ({ data }) => {
  const token = sessionStorage.getItem(KEY)
  if (data === 'wanted' && token !== null) channel.postMessage({ token })
  if (data === 'forgotten') sessionStorage.removeItem(KEY)
})

/** @returns {string | null} */
export const token = () => sessionStorage.getItem(KEY)

/** @param {string} value */
export function keepToken(value) {
  sessionStorage.setItem(KEY, value)
}

/** In all tabs. */
export function forgetToken() {
  sessionStorage.removeItem(KEY)
  channel.postMessage('forgotten')
}

/**
 * @returns {Promise<boolean>} whether another tab had one
 */
export function askOtherTabs() {
  return new Promise((resolve) => {
    /** @param {MessageEvent} event */
    const hear = ({ data }) => {
      if (typeof data?.token !== 'string') return
      keepToken(data.token)
      done(true)
    }
    /** @param {boolean} found */
    const done = (found) => {
      clearTimeout(timer)
      channel.removeEventListener('message', hear)
      resolve(found)
    }
    const timer = setTimeout(() => done(false), OTHER_TABS_MS)
    channel.addEventListener('message', hear)
    channel.postMessage('wanted')
  })
}
