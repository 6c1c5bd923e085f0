# SPDX-License-Identifier: BSD-3-Clause
# A file that is no ELF file ends the search with an error, though a good one would follow.
mkdir a
printf 'not an ELF file, though long enough to be read as a header of sixty-four bytes\n' >a/libdep.so
lib b/libdep.so
lib liba.so "$(runpath '$ORIGIN/a:$ORIGIN/b')" -Lb -l:libdep.so
target=$PWD/liba.so
expect="NOT_ELF a/libdep.so"
