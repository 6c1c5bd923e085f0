# SPDX-License-Identifier: BSD-3-Clause
# lib.sh - what a rule.sh may use. A rule runs in an empty directory of its own and sets:
#
#   target=NAME     what is given to dlopen
#   expect=LIST     the libraries in the order of their constructors, relative to the directory; or a failure:
#                   "NOT_FOUND name" or "NOT_ELF path". Without it, it is compared with ld.so alone.
#   run_env=(...)   the environment, exe_flags=(...) how the executable is linked, caller=PATH who calls dlopen
#   plain_only=1    where a sanitizer's runtime changes what ld.so does
#
# shellcheck disable=SC2034 # the variables are used by run_rule

# lib PATH [GCC-OPTION...]: a library with a constructor, and its file name as SONAME unless soname= is set.
lib() {
    local path=$1 name=${soname-$(basename "$1")}
    shift
    mkdir -p "$(dirname "$path")"
    gcc -shared -fPIC -nostdlib -O0 -Wl,--no-as-needed -Wl,--allow-shlib-undefined ${name:+-Wl,-soname,$name} \
        -x c - -x none -o "$path" "$@" <<<"static int ran; __attribute__((constructor)) static void run(void) { ran = 1; }
        int library_function(void) { return ran; }"
}

# Old and new dynamic tags for a search path.
rpath() { printf -- '-Wl,--disable-new-dtags,-rpath,%s' "$1"; }
runpath() { printf -- '-Wl,--enable-new-dtags,-rpath,%s' "$1"; }

# patch_byte FILE OFFSET OCTAL
patch_byte() { printf "\\$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }
