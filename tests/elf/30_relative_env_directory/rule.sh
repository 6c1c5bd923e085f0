# SPDX-License-Identifier: BSD-3-Clause
# An empty element of LD_LIBRARY_PATH is the working directory.
lib libdep.so
lib sub/liba.so -L. -l:libdep.so
run_env=(LD_LIBRARY_PATH=":$PWD/none")
target=$PWD/sub/liba.so
