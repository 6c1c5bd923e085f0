# SPDX-License-Identifier: BSD-3-Clause
# Two names of one file are one object.
soname='' lib libdep.so.1
ln -s libdep.so.1 libdep.so
lib libb.so "$(runpath '$ORIGIN')" -L. -l:libdep.so.1
lib liba.so "$(runpath '$ORIGIN')" -L. -l:libdep.so -l:libb.so
target=$PWD/liba.so
expect="libdep.so libb.so liba.so"
