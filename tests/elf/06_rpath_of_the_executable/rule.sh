# SPDX-License-Identifier: BSD-3-Clause
# The executable's DT_RPATH is searched for what a dlopened library needs, and before LD_LIBRARY_PATH.
lib a/libdep.so
lib b/libdep.so
lib liba.so -La -l:libdep.so
exe_flags=("$(rpath '$ORIGIN/a')")
run_env=(LD_LIBRARY_PATH="$PWD/b")
target=$PWD/liba.so
expect="a/libdep.so liba.so"
