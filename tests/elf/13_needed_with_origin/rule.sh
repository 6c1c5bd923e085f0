# SPDX-License-Identifier: BSD-3-Clause
# Tokens are replaced in DT_NEEDED too.
soname='$ORIGIN/deps/libdep.so' lib deps/libdep.so
lib liba.so -Ldeps -l:libdep.so
target=$PWD/liba.so
expect="deps/libdep.so liba.so"
