# SPDX-License-Identifier: BSD-3-Clause
# LD_LIBRARY_PATH is searched before DT_RUNPATH.
lib a/libdep.so
lib b/libdep.so
lib liba.so "$(runpath '$ORIGIN/a')" -La -l:libdep.so
run_env=(LD_LIBRARY_PATH="$PWD/b")
target=$PWD/liba.so
expect="b/libdep.so liba.so"
