# SPDX-License-Identifier: BSD-3-Clause
# $ORIGIN is the directory of the name by which a library was opened, not of what a symlink points to.
lib real/deps/libdep.so
lib here/deps/libdep.so
lib real/liba.so "$(runpath '${ORIGIN}/deps')" -Lreal/deps -l:libdep.so
ln -s ../real/liba.so here/liba.so
target=$PWD/here/liba.so
expect="here/deps/libdep.so here/liba.so"
