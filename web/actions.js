/** Buttons that change something: a call of the API, asked about first where it cannot be undone. */
import { ask, Refusal } from './api.js'
import { one, say } from './dom.js'

/**
 * @param {HTMLElement} button
 * @returns {Promise<boolean>} whether the person means it
 */
function confirmed(button) {
  const { confirm: question, words = '' } = button.dataset
  if (question === undefined) return Promise.resolve(true)
  const dialog = one('confirm', HTMLDialogElement)
  one('confirm-title', HTMLElement).textContent = question
  one('confirm-words', HTMLElement).textContent = words
  one('confirm-yes', HTMLElement).textContent = button.textContent
  dialog.returnValue = 'no'
  dialog.showModal()
  // The harmless answer has the focus.
  one('confirm-no', HTMLElement).focus()
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true })
  })
}

/**
 * @param {HTMLElement} button
 * @param {{ goTo: (href: string) => void, refresh: () => void }} page
 */
export async function act(button, { goTo, refresh }) {
  const path = button.dataset['post'] ?? ''
  if (!(await confirmed(button))) return
  button.setAttribute('aria-disabled', 'true')
  try {
    const answer = await (await ask(path, { method: 'POST' })).json()
    say(`${button.textContent}: done`)
    if (path.endsWith('/retry')) goTo(`/dashboard/runs/${encodeURIComponent(answer.run_id)}`)
    else refresh()
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const note = document.createElement('p')
    note.className = 'problem'
    note.setAttribute('role', 'alert')
    note.textContent = error.message
    button.after(note)
  } finally {
    button.removeAttribute('aria-disabled')
  }
}
