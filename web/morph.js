/**
 * Makes what is on the page like what came, changing only what differs: the focus, the selection and
 * the scroll positions stay. Elements with an id are the same ones wherever they move.
 *
 * `data-keep`: what is in it is its own business. Of `data-state`, a change is shown for a moment.
 */

/**
 * @param {Element} here
 * @param {Element} come
 */
export function morph(here, come) {
  copyAttributes(here, come)
  if (here.hasAttribute('data-keep')) return
  morphChildren(here, come)
}

/**
 * @param {Element} here
 * @param {Element} come
 */
function copyAttributes(here, come) {
  const before = here.getAttribute('data-state')
  for (const { name } of [...here.attributes]) {
    if (!come.hasAttribute(name) && name !== 'open') here.removeAttribute(name)
  }
  for (const { name, value } of come.attributes) {
    if (name === 'open' && here.hasAttribute('open')) continue
    if (here.getAttribute(name) !== value) here.setAttribute(name, value)
  }
  if (before !== null && before !== come.getAttribute('data-state')) showChange(here)
}

/** @param {Element} element */
function showChange(element) {
  element.classList.remove('changed')
  // Asking for its size makes the browser see that the class was away, so that it begins again.
  element.getBoundingClientRect()
  element.classList.add('changed')
}

/**
 * @param {Element} here
 * @param {Element} come
 */
function morphChildren(here, come) {
  /** @type {Map<string, Element>} */
  const named = new Map()
  for (const child of here.children) if (child.id) named.set(child.id, child)
  let place = here.firstChild
  for (const wanted of [...come.childNodes]) {
    const known = wanted instanceof Element && wanted.id ? named.get(wanted.id) : undefined
    if (known) {
      named.delete(known.id)
      if (known === place) place = place.nextSibling
      else here.insertBefore(known, place)
      morph(known, /** @type {Element} */ (wanted))
    } else if (place && isAlike(place, wanted)) {
      const next = place.nextSibling
      if (place instanceof Element) morph(place, /** @type {Element} */ (wanted))
      else if (place.nodeValue !== wanted.nodeValue) place.nodeValue = wanted.nodeValue
      place = next
    } else {
      here.insertBefore(wanted, place)
      if (wanted instanceof Element && wanted.hasAttribute('data-state')) showChange(wanted)
    }
  }
  while (place) {
    const next = place.nextSibling
    place.remove()
    place = next
  }
  for (const gone of named.values()) gone.remove()
}

/**
 * @param {Node} one
 * @param {Node} other
 */
function isAlike(one, other) {
  if (one.nodeType !== other.nodeType || one.nodeName !== other.nodeName) return false
  return !(one instanceof Element && one.id) && !(other instanceof Element && other.id)
}
