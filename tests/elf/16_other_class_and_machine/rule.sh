# SPDX-License-Identifier: BSD-3-Clause
# Files for another class or machine are skipped in a search.
lib a/libdep.so
lib b/libdep.so
lib c/libdep.so
patch_byte a/libdep.so 4 001  # ELFCLASS32
patch_byte b/libdep.so 18 010 # EM_MIPS
lib liba.so "$(runpath '$ORIGIN/a:$ORIGIN/b:$ORIGIN/c')" -Lc -l:libdep.so
target=$PWD/liba.so
expect="c/libdep.so liba.so"
