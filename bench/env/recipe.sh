# SPDX-License-Identifier: BSD-3-Clause
# env-path and make-env source this file: the options that name an environment, and its place.
#
# recipe_parse PROGRAM ARGS... sets recipe_mpi (debian or wheel), recipe_packages (sorted, separated by commas) and
# recipe_rest (the arguments that are not options).

recipe_mpi=debian
recipe_packages=mpi4py,numpy,scipy
recipe_rest=()

recipe_usage() {
    echo "$1" >&2
    echo "usage: make-env [--mpi debian|wheel] [--with mpi4py,numpy,scipy,...] [DIR]" >&2
    echo "       env-path [--mpi debian|wheel] [--with mpi4py,numpy,scipy,...]" >&2
    exit 2
}

recipe_parse() {
    local program=$1
    shift
    while [ $# -gt 0 ]; do
        case $1 in
        --mpi=* | --with=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
        --mpi | --with)
            [ $# -ge 2 ] || recipe_usage "$program: $1 needs a value"
            if [ "$1" = --mpi ]; then recipe_mpi=$2; else recipe_packages=$2; fi
            shift 2
            ;;
        -h | --help) recipe_usage "$program: an environment for tests, with Python itself" ;;
        -*) recipe_usage "$program: unknown option '$1'" ;;
        *) recipe_rest+=("$1") && shift ;;
        esac
    done
    case $recipe_mpi in debian | wheel) ;; *) recipe_usage "$program: --mpi is debian or wheel, not '$recipe_mpi'" ;; esac
    [[ $recipe_packages =~ ^[A-Za-z0-9._,=-]+$ ]] ||
        recipe_usage "$program: --with takes package names, not '$recipe_packages'"
    recipe_packages=$(tr , '\n' <<<"$recipe_packages" | sed '/^$/d' | sort -u | paste -sd,)
}

recipe_base() { echo "${FASTIMPORT_TEST_ENV:-${XDG_CACHE_HOME:-$HOME/.cache}/fastimport-test}"; }

recipe_name() { echo "$recipe_mpi-${recipe_packages//,/+}"; }
