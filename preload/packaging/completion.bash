# SPDX-License-Identifier: BSD-3-Clause
# bash completion for fastimport and python-mpi-bcast: their commands and options are those that --help lists.

_fastimport() {
    local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} command=
    local -a commands
    mapfile -t commands < <("$program" --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\).*/\1/p')
    if ((COMP_CWORD > 1)) && [[ " ${commands[*]} " == *" ${COMP_WORDS[1]} "* ]]; then
        command=${COMP_WORDS[1]}
    fi
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$("$program" ${command:+"$command"} --help 2>/dev/null |
            grep -Eo -- '^ +(-., )? *--[a-z-]+=?' | grep -o -- '--.*')" -- "$word")
        [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace
    elif ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "${commands[*]}" -- "$word")
    elif [[ $program == *fastimport && $command == plan && $COMP_CWORD -eq 2 ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'show merge drop' -- "$word")
    else
        mapfile -t COMPREPLY < <(compgen -o default -- "$word")
        compopt -o filenames
    fi
} && complete -F _fastimport fastimport python-mpi-bcast
