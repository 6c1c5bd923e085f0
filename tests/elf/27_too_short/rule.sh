# SPDX-License-Identifier: BSD-3-Clause
# An empty file ends the search with an error.
mkdir a
: >a/libdep.so
lib b/libdep.so
lib liba.so "$(runpath '$ORIGIN/a:$ORIGIN/b')" -Lb -l:libdep.so
target=$PWD/liba.so
expect="NOT_ELF a/libdep.so"
