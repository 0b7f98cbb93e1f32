/**
 * Completion for shells, written out from the commands themselves: it knows every option, and no
 * process is started each time somebody presses Tab.
 */
import type { Command, Option } from 'commander'

export const SHELLS = ['bash', 'zsh'] as const
export type Shell = (typeof SHELLS)[number]

/** The line so far (`runqueue token create`) and what may follow it. */
interface Place {
  line: string
  words: string[]
}

export function completionScript(program: Command, shell: Shell): string {
  const script = bashScript(placesOf(program, program.name()))
  if (shell === 'bash') return script
  return `#compdef runqueue\nautoload -U +X bashcompinit && bashcompinit\n${script}`
}

function placesOf(command: Command, line: string): Place[] {
  const options = command.options.filter(({ hidden }) => !hidden)
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? [])
  const names = command.commands.map((each) => each.name())
  const here = [...names, ...choices, ...options.flatMap(flagsOf), '--help']
  return [
    { line, words: here },
    // After an option that takes a value: its words, or none, which leaves it to the shell (files).
    ...options
      .filter(({ required, optional }) => required || optional)
      .flatMap((option) =>
        flagsOf(option).map((flag) => ({
          line: `${line} ${flag}`,
          words: option.argChoices ?? [],
        })),
      ),
    ...command.commands.flatMap((each) => placesOf(each, `${line} ${each.name()}`)),
  ]
}

const flagsOf = ({ short, long }: Option): string[] => [short, long].filter((flag) => flag != null)

function bashScript(places: Place[]): string {
  const commands = places.map(({ line }) => line).filter((line) => !line.includes(' -'))
  return `_runqueue() {
  local line=runqueue words='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$line $word" in
      *' --') return ;;
      ${commands.map((line) => `'${line}'`).join('|')}) line="$line $word" ;;
    esac
  done
  word="\${COMP_WORDS[COMP_CWORD-1]}"
  case "$word" in -*) line="$line $word" ;; esac
  _runqueue_words "$line" || _runqueue_words "\${line% -*}"
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
_runqueue_words() {
  case "$1" in
${places.map(({ line, words: each }) => `    '${line}') words='${each.join(' ')}' ;;`).join('\n')}
    *) return 1 ;;
  esac
}
complete -o default -F _runqueue runqueue
`
}
