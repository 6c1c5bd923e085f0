# SPDX-License-Identifier: BSD-3-Clause
# libc3.so is found for libb2.so, who is met before libx.so although libx.so is deeper in the first branch.
lib x/libc3.so
lib b/libc3.so
lib libx.so "$(runpath '$ORIGIN/x')" -Lx -l:libc3.so
lib libb1.so "$(runpath '$ORIGIN')" -L. -l:libx.so
lib libb2.so "$(runpath '$ORIGIN/b')" -Lb -l:libc3.so
lib liba.so "$(runpath '$ORIGIN')" -L. -l:libb1.so -l:libb2.so
target=$PWD/liba.so
