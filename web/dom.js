/** Elements of the shell, which are always there. */

/**
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} type
 * @param {ParentNode} [within]
 * @returns {T}
 */
export function one(id, type, within = document) {
  const found = within.querySelector(`#${id}`)
  if (found instanceof type) return found
  throw new Error(`the page has no ${id}`)
}

/** @param {string} html @returns {Element} its only element */
export function parsed(html) {
  const { body } = new DOMParser().parseFromString(html, 'text/html')
  const [element] = body.children
  if (!element) throw new Error('the server sent an empty view')
  return document.adoptNode(element)
}

let spoken = ''
/**
 * Tells a screen reader, once; the same again is not news.
 * @param {string} words
 */
export function say(words) {
  if (words === spoken) return
  spoken = words
  one('say', HTMLElement).textContent = words
}

/**
 * @param {string} title
 * @param {string} words
 * @param {() => void} [again]
 */
export function problem(title, words, again) {
  const element = document.createElement('div')
  element.className = 'view card'
  element.dataset['title'] = title
  const heading = document.createElement('h1')
  heading.tabIndex = -1
  heading.textContent = title
  const text = document.createElement('p')
  text.textContent = words
  element.append(heading, text)
  if (again) {
    const button = document.createElement('button')
    button.textContent = 'Try again'
    button.addEventListener('click', again)
    element.append(button)
  }
  return element
}
