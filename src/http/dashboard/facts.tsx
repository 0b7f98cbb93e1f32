import type { Child } from 'hono/jsx'

type Fact = readonly [title: string, value: Child]

/** Titles and values; what there is nothing to say of is left out. */
export const Facts = ({ facts }: { facts: readonly Fact[] }) => (
  <dl class="facts">
    {facts
      .filter(
        ([, value]) => value !== null && value !== undefined && value !== '' && value !== false,
      )
      .map(([title, value]) => (
        <div>
          <dt>{title}</dt>
          <dd>{value}</dd>
        </div>
      ))}
  </dl>
)

interface ButtonProps {
  /** The call of the API that it makes; what that answers with a run leads there. */
  post: string
  /** Asked first, and what that means. */
  confirm?: string
  words?: string
  danger?: boolean
  children: Child
}

export const Button = ({ post, confirm, words, danger = false, children }: ButtonProps) => (
  <button
    type="button"
    class={danger ? 'danger' : 'main'}
    data-post={post}
    data-confirm={confirm}
    data-words={words}
  >
    {children}
  </button>
)

interface TextProps {
  children: string
  label: string
  /** Written for people: not to be set like code. */
  prose?: boolean
}

/** Text of any length, as it was written; longer ones are cut for the page, not where they are kept. */
export function Text({ children, label, prose = false }: TextProps) {
  const rest = children.length - TEXT_LENGTH
  return (
    <>
      <section class={prose ? 'text prose' : 'text'} tabindex={0} aria-label={label}>
        <pre dir="auto">{rest > 0 ? children.slice(0, TEXT_LENGTH) : children}</pre>
      </section>
      {rest > 0 && (
        <p class="faint">{rest} more characters are not shown; the API has all of it.</p>
      )}
    </>
  )
}

const TEXT_LENGTH = 100_000
