# SPDX-License-Identifier: BSD-3-Clause
# LD_LIBRARY_PATH: ';' separates too, slashes at the end are dropped, missing directories are skipped.
lib a/libdep.so
lib b/libdep2.so
lib liba.so -La -l:libdep.so -Lb -l:libdep2.so
run_env=(LD_LIBRARY_PATH="$PWD/missing;$PWD/a//:$PWD/b/:$PWD/b")
target=$PWD/liba.so
expect="b/libdep2.so a/libdep.so liba.so"
