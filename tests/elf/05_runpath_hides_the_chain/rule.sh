# SPDX-License-Identifier: BSD-3-Clause
# A needer with DT_RUNPATH does not get the DT_RPATH of its loader.
lib x/libc3.so
lib a/libb3.so "$(runpath '$ORIGIN/none')" -Lx -l:libc3.so
lib liba.so "$(rpath '$ORIGIN/a:$ORIGIN/x')" -La -l:libb3.so
target=$PWD/liba.so
expect="NOT_FOUND libc3.so"
