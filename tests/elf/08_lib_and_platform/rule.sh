# SPDX-License-Identifier: BSD-3-Clause
# $LIB and $PLATFORM, bare and in braces. What they stand for is ld.so's to say.
for d in lib lib64 lib/x86_64-linux-gnu lib/aarch64-linux-gnu; do lib "$d/libdep.so"; done
for d in x86_64 haswell xeon_phi aarch64; do lib "p_$d/libplat.so"; done
lib liba.so "$(runpath '$ORIGIN/$LIB:$ORIGIN/p_${PLATFORM}')" -Llib -l:libdep.so -Lp_x86_64 -l:libplat.so
run_env=(LD_LIBRARY_PATH="$PWD/none") # stands before the default directories in dlinfo()
target=$PWD/liba.so
