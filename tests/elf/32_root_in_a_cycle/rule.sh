# SPDX-License-Identifier: BSD-3-Clause
# What the requested library needs may need it in turn.
lib liba.so
lib libb.so "$(runpath '$ORIGIN')" -L. -l:liba.so
lib liba.so "$(runpath '$ORIGIN')" -L. -l:libb.so
target=$PWD/liba.so
expect="libb.so liba.so"
