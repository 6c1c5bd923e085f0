# SPDX-License-Identifier: BSD-3-Clause
# The DT_RPATH of what needed the needer is searched too.
lib x/libc3.so
lib a/libb3.so -Lx -l:libc3.so
lib liba.so "$(rpath '$ORIGIN/a:$ORIGIN/x')" -La -l:libb3.so
target=$PWD/liba.so
expect="x/libc3.so a/libb3.so liba.so"
