# SPDX-License-Identifier: BSD-3-Clause
# glibc-hwcaps subdirectories come before the directory itself, the best first; unknown ones are not looked at.
lib a/libdep.so
lib a/libother.so
for level in 2 3 4 9; do
    lib a/glibc-hwcaps/x86-64-v$level/libdep.so
done
lib a/glibc-hwcaps/x86-64-v9/libother.so
lib liba.so "$(runpath '$ORIGIN/a')" -La -l:libdep.so -l:libother.so
target=$PWD/liba.so
