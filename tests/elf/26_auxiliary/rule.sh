# SPDX-License-Identifier: BSD-3-Clause
# DT_AUXILIARY names a library that may be missing.
lib b/libpresent.so
lib liba.so "$(runpath '$ORIGIN/b')" -Wl,-f,libmissing.so -Wl,-f,libpresent.so
target=$PWD/liba.so
