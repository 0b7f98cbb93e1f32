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
  const offers = offersFunction(placesOf(program, program.name()))
  return shell === 'bash' ? `${offers}${BASH}` : `#compdef runqueue\n${offers}${ZSH}`
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

/**
 * In words that bash and zsh both understand: sets `offers` to what may stand after the arguments that
 * are its own. Leaves it empty where there is no saying.
 */
function offersFunction(places: Place[]): string {
  const commands = places.map(({ line }) => line).filter((line) => !line.includes(' -'))
  return `_runqueue_offers() {
  local line=runqueue word=''
  for word in "$@"; do
    case "$line $word" in
      *' --') return ;;
      ${commands.map((line) => `'${line}'`).join('|')}) line="$line $word" ;;
    esac
  done
  case "$word" in -*) line="$line $word" ;; esac
  _runqueue_at "$line" || _runqueue_at "\${line% -*}"
}
_runqueue_at() {
  case "$1" in
${places.map(({ line, words }) => `    '${line}') offers='${words.join(' ')}' ;;`).join('\n')}
    *) return 1 ;;
  esac
}
`
}

const BASH = `_runqueue() {
  local offers=''
  _runqueue_offers "\${COMP_WORDS[@]:1:COMP_CWORD-1}"
  COMPREPLY=($(compgen -W "$offers" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _runqueue runqueue
`

/** As a file in fpath it is the function itself when Tab is first pressed; with source it names one. */
const ZSH = `_runqueue() {
  local offers=''
  _runqueue_offers "\${(@)words[2,CURRENT-1]}"
  compadd -- \${=offers} || _default
}
if [[ $funcstack[1] == _runqueue ]]; then _runqueue; else compdef _runqueue runqueue; fi
`
