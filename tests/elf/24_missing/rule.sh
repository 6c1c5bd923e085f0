# SPDX-License-Identifier: BSD-3-Clause
# A library that is nowhere.
lib gone/libgone.so
lib libb.so -Lgone -l:libgone.so
lib liba.so "$(runpath '$ORIGIN')" -L. -l:libb.so
rm gone/libgone.so
target=$PWD/liba.so
expect="NOT_FOUND libgone.so"
