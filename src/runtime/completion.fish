# Completion of alpha for fish: alpha completion fish | source
function __alpha_candidates
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    $words[1] completion candidates $words[2..-1] "@$current" 2>/dev/null
end
complete -c alpha -f -a '(__alpha_candidates)'
