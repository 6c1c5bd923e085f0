# SPDX-License-Identifier: BSD-3-Clause
# Two diamonds and a deep branch: the order of constructors is ld.so's.
r=$(runpath '$ORIGIN')
lib libz1.so
lib liby1.so "$r" -L. -l:libz1.so
lib liby2.so "$r" -L. -l:libz1.so
lib libx1.so "$r" -L. -l:liby2.so -l:liby1.so
lib libx2.so "$r" -L. -l:liby1.so -l:libz1.so
lib libw1.so
lib libx3.so "$r" -L. -l:libw1.so -l:libx2.so
lib liba.so "$r" -L. -l:libx1.so -l:libw1.so -l:libx3.so -l:liby2.so
target=$PWD/liba.so
