# SPDX-License-Identifier: BSD-3-Clause
# Up to glibc 2.36: tls/, x86_64/ and their kin. Later glibcs do not look there; only ld.so's answer counts.
lib a/libdep.so
lib a/tls/libdep.so
lib a/x86_64/libdep2.so
lib a/libdep2.so
lib a/tls/x86_64/libdep3.so
lib a/libdep3.so
lib a/x86_64/tls/libdep3.so
lib liba.so "$(runpath '$ORIGIN/a')" -La -l:libdep.so -l:libdep2.so -l:libdep3.so
target=$PWD/liba.so
