# SPDX-License-Identifier: BSD-3-Clause
# dlopen of a name without a slash searches with the path of the library that calls it.
lib a/libplugin.so
mkdir calls
gcc -shared -fPIC -O0 -x c - -x none -o calls/libcaller.so "$(runpath '$ORIGIN/../a')" <<<'
#include <dlfcn.h>
void *open_from_here(const char *name, int flags) { void *handle = dlopen(name, flags); return handle; }'
caller=$PWD/calls/libcaller.so
target=libplugin.so
expect="calls/../a/libplugin.so"
plain_only=1 # libasan brings libm, and a dlopen of its own
