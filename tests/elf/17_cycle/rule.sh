# SPDX-License-Identifier: BSD-3-Clause
# Libraries that need each other.
lib libb.so
lib libc3.so "$(runpath '$ORIGIN')" -L. -l:libb.so
lib libb.so "$(runpath '$ORIGIN')" -L. -l:libc3.so
lib liba.so "$(runpath '$ORIGIN')" -L. -l:libb.so
target=$PWD/liba.so
