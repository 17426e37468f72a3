/**
 * Generates shell completion scripts from the definitions of the commands.
 */

/** The parts of a command that can be completed. */
export interface Completable {
  readonly path: ReadonlyArray<string>
  readonly summary: string
  readonly arguments: ReadonlyArray<{ readonly name: string; readonly choices: ReadonlyArray<string> }>
  readonly options: ReadonlyArray<CompletableOption>
}

interface CompletableOption {
  readonly name: string
  readonly alias: string | undefined
  readonly kind: "flag" | "switch" | "value"
  readonly description: string
  readonly placeholder: string | undefined
  readonly isRepeated: boolean
  readonly choices: ReadonlyArray<string>
}

type Commands = ReadonlyArray<Completable>

/** Returns `true` if the placeholder of a value stands for a file. */
const isFile = (placeholder: string | undefined): boolean => /file|folder|workflow/.test(placeholder ?? "")

/** First words of commands that have two. */
const groupsOf = (commands: Commands): ReadonlyArray<string> => [
  ...new Set(commands.flatMap(({ path }) => (path.length > 1 ? [path[0] as string] : []))),
]

const firstWords = (commands: Commands): ReadonlyArray<string> => [...new Set(commands.map(({ path }) => path[0] as string))]

const secondWords = (commands: Commands, group: string): Commands =>
  commands.filter(({ path }) => path.length > 1 && path[0] === group)

const spelled = ({ name, alias }: CompletableOption): ReadonlyArray<string> => [
  `--${name}`,
  ...(alias === undefined ? [] : [`-${alias}`]),
]

const program = ["--json", "--db", "--help", "--version"]

/** Quotes a text as one shell word. */
const word = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** Generates the script for bash. One function offers words; it finds the command among the words before the cursor. */
export const bash = (commands: Commands): string => {
  const values = commands.flatMap(({ path, options }) =>
    options
      .filter(({ kind }) => kind === "value")
      .map((option) => {
        const pattern = spelled(option).map((name) => word(`${path.join(" ")} ${name}`))
        const offered =
          option.choices.length > 0 ? `words=${word(option.choices.join(" "))}` : `files=${isFile(option.placeholder)}`
        return `    ${pattern.join(" | ")}) ${offered} ;;`
      }),
  )
  const offers = (words: ReadonlyArray<string>, options: ReadonlyArray<string>, files: boolean) =>
    `words=${word(words.join(" "))} options=${word(options.join(" "))} files=${files}`
  const known = commands.map(({ path, arguments: args, options }) => {
    const all = [...options.flatMap(spelled), "--help"]
    const choices = args.flatMap((argument) => argument.choices)
    return `      ${word(path.join(" "))}) ${offers(
      choices,
      all,
      args.some(({ name }) => isFile(name)),
    )} ;;`
  })
  const groups = groupsOf(commands)
  const inside = groups.map((group) => {
    const words = secondWords(commands, group).map(({ path }) => path[1] as string)
    return `      ${word(group)}) ${offers(words, ["--help"], false)} ;;`
  })
  return `_smithers() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local command="" words="" options="" files="" i
  # Bash splits words at "=".
  if [[ $current == "=" ]]; then
    current=""
  elif [[ $previous == "=" ]]; then
    previous="\${COMP_WORDS[COMP_CWORD-2]}"
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in
    --db) [[ \${COMP_WORDS[i+1]} == "=" ]] && ((i += 2)) || ((i += 1)) ;;
    -* | =) ;;
    *)
      case "$command" in
      "") command="\${COMP_WORDS[i]}" ;;
      ${groups.map(word).join(" | ")}) command="$command \${COMP_WORDS[i]}" ;;
      esac
      ;;
    esac
  done
  case "$command $previous" in
    " --db") files=true ;;
${values.join("\n")}
  esac
  if [[ -z $words && -z $files ]]; then
    case "$command" in
      "") ${offers(firstWords(commands), program, false)} ;;
${[...inside, ...known].join("\n")}
    esac
  fi
  if [[ $current == -* ]]; then
    words="$options" files=false
  elif [[ -z $words && $files != true ]]; then
    words="$options"
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [[ $files == true ]]; then
    compopt -o filenames 2>/dev/null
    local IFS=$'\\n'
    COMPREPLY+=($(compgen -f -- "$current"))
  fi
}
complete -F _smithers smithers`
}

/** Generates the script for zsh. */
export const zsh = (commands: Commands): string => {
  // These characters delimit the parts of an argument of `_arguments`.
  const plain = (text: string): string => text.replaceAll(/[\\[\]:]/g, "\\$&")
  const offeredFor = (choices: ReadonlyArray<string>, placeholder: string | undefined): string =>
    choices.length > 0 ? `(${choices.join(" ")})` : isFile(placeholder) ? "_files" : " "
  const optionSpecs = (option: CompletableOption) =>
    spelled(option).map((name) => {
      const { kind, placeholder = "value", choices, isRepeated, description } = option
      const many = isRepeated ? "*" : ""
      if (kind === "flag") return word(`${name}[${plain(description)}]`)
      const equals = name.startsWith("--") ? "=" : ""
      const value = `${kind === "switch" ? "::" : ":"}${plain(placeholder)}:${offeredFor(choices, placeholder)}`
      return word(`${many}${name}${equals}[${plain(description)}]${value}`)
    })
  const described = (rows: ReadonlyArray<readonly [string, string]>) =>
    rows.map(([name, text]) => word(`${plain(name)}:${text}`)).join(" ")
  const known = commands.map(({ path, arguments: args, options }) => {
    const positions = args.map(({ name, choices }, index) => word(`${index + 1}:${plain(name)}:${offeredFor(choices, name)}`))
    const specs = [...positions, ...options.flatMap(optionSpecs), word("--help[Print help and examples]")]
    return `    ${word(path.join(" "))})\n      _arguments -S \\\n        ${specs.join(" \\\n        ")}\n      ;;`
  })
  const groups = groupsOf(commands)
  const tops = firstWords(commands).map((first) => {
    const own = commands.find(({ path }) => path.length === 1 && path[0] === first)
    return [
      first,
      own?.summary ??
        secondWords(commands, first)
          .map(({ path }) => path[1])
          .join(", "),
    ] as const
  })
  const inside = groups.map((group) => {
    const rows = secondWords(commands, group).map(({ path, summary }) => [path[1] as string, summary] as const)
    return `    ${word(group)}) offered=(${described(rows)}); _describe command offered ;;`
  })
  return `#compdef smithers
_smithers() {
  local command= i=2 last=1
  local -a offered
  while (( i < CURRENT )); do
    case $words[i] in
    --db) (( i++ )) ;;
    -*) ;;
    *)
      if [[ -z $command ]]; then
        command=$words[i] last=$i
      elif [[ $command == (${groups.join("|")}) ]]; then
        command="$command $words[i]" last=$i
      fi
      ;;
    esac
    (( i++ ))
  done
  # The command stands for the program from here on, so that what follows it is counted from it.
  shift $(( last - 1 )) words
  (( CURRENT -= last - 1 ))
  case $command in
    '')
      offered=(${described(tops)})
      if [[ $words[CURRENT] == -* ]]; then compadd -- ${program.join(" ")}; else _describe command offered; fi
      ;;
${[...inside, ...known].join("\n")}
  esac
}
if [[ $funcstack[1] == _smithers ]]; then _smithers "$@"; else compdef _smithers smithers; fi`
}

/** Generates the script for fish. */
export const fish = (commands: Commands): string => {
  const line = (command: string, ...parts: ReadonlyArray<string>) =>
    `complete -c smithers -n ${fishWord(`__smithers_in ${fishWord(command)}`)} ${parts.join(" ")}`
  const valueParts = (choices: ReadonlyArray<string>, placeholder: string | undefined) =>
    choices.length > 0 ? ["-x", "-a", fishWord(choices.join(" "))] : isFile(placeholder) ? ["-r", "-F"] : ["-x"]
  const groups = groupsOf(commands)
  const tops = firstWords(commands).map((first) => {
    const own = commands.find(({ path }) => path.length === 1 && path[0] === first)
    return line(
      "",
      "-a",
      first,
      "-d",
      fishWord(
        own?.summary ??
          secondWords(commands, first)
            .map(({ path }) => path[1])
            .join(", "),
      ),
    )
  })
  const inside = groups.flatMap((group) =>
    secondWords(commands, group).map(({ path, summary }) => line(group, "-a", path[1] as string, "-d", fishWord(summary))),
  )
  const known = commands.flatMap(({ path, arguments: args, options }) => {
    const command = path.join(" ")
    const choices = args.flatMap((argument) => argument.choices)
    return [
      ...(choices.length === 0 ? [] : [line(command, "-a", fishWord(choices.join(" ")))]),
      ...(args.some(({ name }) => isFile(name)) ? [line(command, "-F")] : []),
      ...options.map(({ name, alias, kind, description, choices, placeholder }) => {
        const value = kind === "value" ? valueParts(choices, placeholder) : []
        return line(command, ...(alias === undefined ? [] : ["-s", alias]), "-l", name, ...value, "-d", fishWord(description))
      }),
      line(command, "-l", "help", "-d", fishWord("Print help and examples")),
    ]
  })
  return `function __smithers_command
  set -l command ''
  set -l isValue 0
  for word in (commandline -opc)[2..-1]
    if test $isValue = 1
      set isValue 0
      continue
    end
    switch $word
      case --db
        set isValue 1
      case '-*'
      case '*'
        if test -z "$command"
          set command $word
        else if contains -- "$command" ${groups.join(" ")}
          set command "$command $word"
        end
    end
  end
  echo $command
end
function __smithers_in
  set -l command (__smithers_command)
  test "$command" = "$argv[1]"
end
complete -c smithers -f
${program.map((name) => line("", "-l", name.slice(2), ...(name === "--db" ? ["-r", "-F"] : []))).join("\n")}
${[...tops, ...inside, ...known].join("\n")}`
}

/** A text as one word of fish, where only these two mean something within quotes. */
const fishWord = (text: string): string => `'${text.replaceAll(/[\\']/g, "\\$&")}'`
