# SPDX-License-Identifier: BSD-3-Clause
# DF_1_NODEFLIB: neither the cache nor the default directories give a library of the default directories.
lib liba.so -Wl,-z,nodefaultlib -l:libm.so.6
target=$PWD/liba.so
expect="NOT_FOUND libm.so.6"
plain_only=1 # libasan brings libm, and a dlopen of its own
