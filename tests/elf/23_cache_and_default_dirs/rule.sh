# SPDX-License-Identifier: BSD-3-Clause
# What no path has is taken from /etc/ld.so.cache or the default directories.
mkdir empty
lib liba.so "$(runpath '$ORIGIN/empty')" -l:libm.so.6
run_env=(LD_LIBRARY_PATH="$PWD/empty")
target=$PWD/liba.so
