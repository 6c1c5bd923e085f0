# SPDX-License-Identifier: BSD-3-Clause
# DT_RPATH is searched before LD_LIBRARY_PATH.
lib a/libdep.so
lib b/libdep.so
lib liba.so "$(rpath '$ORIGIN/a')" -La -l:libdep.so
run_env=(LD_LIBRARY_PATH="$PWD/b")
target=$PWD/liba.so
expect="a/libdep.so liba.so"
