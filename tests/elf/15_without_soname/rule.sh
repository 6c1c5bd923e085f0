# SPDX-License-Identifier: BSD-3-Clause
# A library without SONAME is known by the name it was needed by.
soname='' lib a/libplain.so
soname='' lib b/libplain.so
lib a/libfirst.so "$(runpath '$ORIGIN')" -La -l:libplain.so
lib b/libsecond.so "$(runpath '$ORIGIN')" -Lb -l:libplain.so
lib liba.so "$(runpath '$ORIGIN/a:$ORIGIN/b')" -La -l:libfirst.so -Lb -l:libsecond.so
target=$PWD/liba.so
