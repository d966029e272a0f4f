# Completion of alpha for bash (3.2 and later): eval "$(alpha completion bash)"
_alpha_completion() {
  local line="${COMP_LINE:0:COMP_POINT}" word kept
  local -a words
  read -ra words <<< "$line"
  case "$line" in *[[:space:]]) words+=("") ;; esac
  local last=$((${#words[@]} - 1))
  local current="${words[$last]}"
  # bash replaces what follows the last = or : of the word, so what stands before it is left out of the answers.
  kept="${current%"${current##*[=:]}"}"
  case "$COMP_WORDBREAKS" in *=*) ;; *) kept="" ;; esac
  COMPREPLY=()
  while IFS=$'\t' read -r word _; do
    case "$word" in *[=.,/]) ;; *) word="$word " ;; esac
    COMPREPLY+=("${word#"$kept"}")
  done < <("${words[0]}" completion candidates "${words[@]:1:$((last - 1))}" "@$current" 2> /dev/null)
}
complete -o nospace -F _alpha_completion alpha
