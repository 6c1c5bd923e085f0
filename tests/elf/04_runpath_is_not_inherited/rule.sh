# SPDX-License-Identifier: BSD-3-Clause
# DT_RUNPATH serves the object's own needs alone.
lib x/libc3.so
lib a/libb3.so -Lx -l:libc3.so
lib liba.so "$(runpath '$ORIGIN/a:$ORIGIN/x')" -La -l:libb3.so
target=$PWD/liba.so
expect="NOT_FOUND libc3.so"
