# Completion of alpha for zsh: eval "$(alpha completion zsh)"
_alpha_completion() {
  local word remark
  local -a open closed open_shown closed_shown
  while IFS=$'\t' read -r word remark; do
    if [[ $word == *[=.,/] ]]; then
      open+=("$word") open_shown+=("${word}${remark:+  -- $remark}")
    else
      closed+=("$word") closed_shown+=("${word}${remark:+  -- $remark}")
    fi
  done < <("${words[1]}" completion candidates "${(@)words[2,CURRENT-1]}" "@$PREFIX" 2> /dev/null)
  (( ${#open} )) && compadd -Q -l -S '' -d open_shown -a open
  (( ${#closed} )) && compadd -Q -l -d closed_shown -a closed
}
compdef _alpha_completion alpha
