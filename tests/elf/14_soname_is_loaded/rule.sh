# SPDX-License-Identifier: BSD-3-Clause
# A name that is the SONAME of a loaded object is not searched, whatever its file is called.
soname=libdep.so.1 lib a/liboddname.so
lib b/libdep.so.1
soname=liboddname.so lib stub/liboddname.so
lib liba.so "$(runpath '$ORIGIN/a:$ORIGIN/b')" -Lstub -l:liboddname.so -Lb -l:libdep.so.1
target=$PWD/liba.so
expect="a/liboddname.so liba.so"
